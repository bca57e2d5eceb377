"""What there is to know about a folder of images before anything is trained on it."""
