"""Bringing the real images: `python -m datasets.download DATASET... [--root data]`."""
