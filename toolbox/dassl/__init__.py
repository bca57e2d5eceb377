"""The Dassl API for prompt learning, on current PyTorch."""

__version__ = "1.0.0"
