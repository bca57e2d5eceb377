"""Choose a method's settings on validation images; test images are never loaded."""

import toolbox  # noqa: F401, its dassl comes first
