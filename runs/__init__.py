"""A run as an object: its specification, its configuration, its folder, its training, and its record."""

import toolbox  # noqa: F401, its dassl comes first
