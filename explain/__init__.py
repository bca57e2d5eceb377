"""Explanations of finished runs: where in a picture, and by which sentences, a class was seen."""
