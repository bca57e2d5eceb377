"""Documents of which a command writes the lower part: what stands above its mark is kept."""

from pathlib import Path

from dassl.reading import read_text
from dassl.writing import atomic_write


def write_below(path: Path, mark: str, text: str, first: str = "") -> None:
    """Write a mark and a text below what a file has above the mark; a new file begins with `first`."""
    kept = read_text(path).partition(mark)[0] if path.exists() else first
    with atomic_write(path) as file:
        file.write(f"{kept}{mark}\n\n{text}")
