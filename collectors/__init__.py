"""One file per kind of service that is read."""
