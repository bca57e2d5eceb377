"""Tests of what stands on a predictor and a saliency are collected where these are there."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("runs/predictor.py", "explain/directions.py", "explain/saliency.py")
collect_ignore = [] if all((ROOT / name).is_file() for name in NEEDED) else ["test_errors.py"]
