"""From run folders to numbers, tables and pictures; knows nothing of models or data."""
