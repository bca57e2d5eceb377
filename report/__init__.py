"""Tables, pictures and a page from run folders; imports nothing of models or data, and no PyTorch."""

import toolbox  # noqa: F401, its dassl comes first
