"""From run folders to numbers, tables and pictures; knows nothing of models or data."""

import toolbox  # noqa: F401, its dassl comes first
