"""What the archive is written with."""
