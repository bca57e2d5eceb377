"""Helpers that save time or memory, and change results by rounding at most."""
