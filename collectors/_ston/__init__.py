"""What stands behind the STON collector: fields, graphs, and how an answer becomes columns of numbers."""
