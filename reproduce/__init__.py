"""The tables of the paper and our own: what they need is run, then the document is written."""

import toolbox  # noqa: F401, its dassl comes first
