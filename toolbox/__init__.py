"""Put this folder first on the import path, so that `dassl` is the one of this checkout.

Every package that imports `dassl` imports this module first. From then on, Ctrl-C ends `python -m PACKAGE` in one
sentence.

Raises:
    ImportError: another `dassl` has been imported already.
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
            "import it after this one, or in a process of its own."
        )

if sys.argv[:1] == ["-m"]:  # `python -m PACKAGE` is importing its package, which may take seconds
    from dassl.errors import tell_interrupts

    tell_interrupts()
