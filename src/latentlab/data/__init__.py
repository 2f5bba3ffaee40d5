"""Data sets: download, read, split, degrade."""
