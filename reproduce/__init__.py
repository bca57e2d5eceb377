"""Run the experiments of the paper's tables and of our own, and write the document that shows them."""

import toolbox  # noqa: F401, its dassl comes first
