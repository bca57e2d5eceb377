"""Name the measurements of this folder, each of which is a script: `python -m benchmarks`."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def scripts() -> list[str]:
    """Return the names of the scripts: the files that do something when they are run."""
    found = [path for path in sorted(FOLDER.glob("[a-z]*.py")) if "__main__" in path.read_text(encoding="utf-8")]
    return [path.name for path in found]


def main() -> int:
    """Print one sentence."""
    print(f"Measurements, each with --help: {', '.join(f'python benchmarks/{name}' for name in scripts())}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
