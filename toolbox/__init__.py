"""Puts this folder first on the import path: `dassl` is this checkout's, whatever else is installed by that name.

Every room that imports `dassl` imports this first.

Raises:
    ImportError: another `dassl` has been imported already; says where it lies.
"""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

if "dassl" in sys.modules:
    _found = [Path(place).resolve() for place in sys.modules["dassl"].__path__]
    if _found != [FOLDER / "dassl"]:
        raise ImportError(
            f"Expected the dassl of {FOLDER}, but another one has been imported from {', '.join(map(str, _found))}: "
            "import it after this, or in a process of its own."
        )
