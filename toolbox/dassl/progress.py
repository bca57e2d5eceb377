"""Progress bars: on a terminal alone, since a file or a pipe would fill with their carriage returns."""

import sys
import time
from datetime import timedelta
from typing import Any, TextIO

from tqdm import tqdm

PARTS = 4  # without a terminal, a line is printed after each of so many parts
PAUSE = 60  # seconds that have to pass between two such lines


def bar(*what: Any, **options: Any) -> tqdm:
    """Return a `tqdm` bar that is shown on a terminal alone, and vanishes at its end unless `options` say otherwise.

    Args:
        what, options: as for `tqdm`.
    """
    return tqdm(*what, **{"disable": None, "leave": False, **options})


class Progress:
    """A progress bar; without a terminal, a line on stderr at each quarter of what lasts longer than a minute.

    Args:
        total: number of units; None if it is not known.
        title: begins the bar and the lines.
        unit: what is counted, such as "run".
        initial: units that are done already.
        options: of `tqdm`.

    Attributes:
        done: units that are done.
    """

    def __init__(self, total: int | None, title: str, unit: str = "it", initial: int = 0, **options: Any):
        self.bar = bar(total=total, desc=title, unit=unit, initial=initial, **options)
        self.total, self.title, self.done, self.initial = total, title, initial, initial
        self._began = self._printed = time.monotonic()
        self._part = 0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def update(self, count: int = 1, figures: str = "") -> None:
        """Move on by `count` units, and show the figures that belong to the place."""
        self.done += count
        self.bar.set_postfix_str(figures, refresh=False)
        self.bar.update(count)
        if self.bar.disable and self.total and self.done < self.total:
            self._print(figures, self.total)

    def _print(self, figures: str, total: int) -> None:
        """Print a line if another part is done, and the last line is old."""
        part, now = PARTS * self.done // total, time.monotonic()
        if part > self._part and now - self._printed >= PAUSE:
            self._part, self._printed = part, now
            left = timedelta(seconds=round(self.seconds * (total - self.done) / (self.done - self.initial)))
            words = [f"{self.done / total:.0%}", figures, f"eta {left}"]
            print(f"{self.title}: {', '.join(filter(None, words))}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def print_above(line: str, stream: TextIO) -> None:
    """Print a line to stdout or stderr, above the bars that are shown."""
    with tqdm.external_write_mode(file=sys.stderr):
        print(line, file=stream, flush=True)
