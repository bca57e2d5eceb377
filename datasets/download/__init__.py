"""Bring real images to disk: `python -m datasets.download DATASET... [--root data]`."""
