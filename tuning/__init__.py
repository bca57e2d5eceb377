"""Choosing a method's settings on validation images; test images are never loaded."""
