"""One file per outside system that batches are delivered to."""
