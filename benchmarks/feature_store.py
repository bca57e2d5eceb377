"""Measure a look-up of 1,000 rows in a store of a million: `python benchmarks/feature_store.py [--rows N]`.

Fills a temporary folder with rows of 512 numbers (2 GB for a million), then looks some up in a process of its own, and
prints seconds and the memory that this took; `again` is the second look-up of the same process.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from clip.digests import content_digest
from clip.row_store import RowStore

WIDTH, AT_ONCE, WANTED = 512, 512, 1000


def key(i: int) -> bytes:
    """Return a key as images have it: 16 bytes of digest, 4 bytes of a view's number."""
    return content_digest(str(i // 100).encode()) + (i % 100).to_bytes(4, "little")


def fill(folder: Path, rows: int) -> None:
    """Write `rows` rows as the feature store does, 512 at a time."""
    table, rng = RowStore(folder), np.random.default_rng(0)
    for start in range(0, rows, AT_ONCE):
        keys = [key(i) for i in range(start, min(start + AT_ONCE, rows))]
        table.put(keys, rng.random((len(keys), WIDTH), np.float32))


def resident() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def look_up(folder: Path, rows: int) -> None:
    """Print what two look-ups cost."""
    chosen = np.random.default_rng(1).choice(rows, min(WANTED, rows), replace=False)
    keys, before = [key(int(i)) for i in chosen], resident()
    table = RowStore(folder)
    for name in ("first", "again"):
        began = time.perf_counter()
        found = table.get(keys)
        seconds = time.perf_counter() - began
        assert all(row is not None for row in found)
        print(f"{name}: {len(keys)} of {rows} rows in {seconds:.3f} s, {resident() - before:.0f} MB more than before")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="of a table that was filled before: only look up")
    args = parser.parse_args()
    if args.folder:
        look_up(args.folder, args.rows)
        return
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        fill(Path(folder), args.rows)
        print(f"filled in {time.perf_counter() - began:.0f} s, {len(list(Path(folder).glob('*.rows')))} files")
        subprocess.run([sys.executable, __file__, "--rows", str(args.rows), "--folder", folder], check=True)


if __name__ == "__main__":
    main()
