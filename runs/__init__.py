"""A run as an object: what it is made of, where it lies, what it leaves, and how it is trained."""

import toolbox  # noqa: F401, its dassl comes first
