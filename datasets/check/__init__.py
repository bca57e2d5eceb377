"""Check a folder of images before anything is trained on it: `python -m datasets.check DATA`."""
