"""Log files on disk to typed runs."""
