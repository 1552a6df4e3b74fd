"""What the handlers share that send lines or pickles."""
