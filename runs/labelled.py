"""The console of several runs that are trained side by side."""

from typing import Any, TextIO


class Labelled:
    """A stream whose lines begin with a label, so that a reader knows which run says what.

    Args:
        stream: where the lines go.
        label: begins each line.
        silent: write nothing; the attribute of this name can be changed later.
    """

    def __init__(self, stream: TextIO, label: str, silent: bool = False):
        self.stream, self.label, self.silent = stream, label, silent
        self._begun = False  # whether the last line has no end yet

    def write(self, text: str) -> int:
        """Write `text`, the label before each line of it that is not empty."""
        if not self.silent:
            for line in text.splitlines(keepends=True):
                self.stream.write(line if self._begun or not line.strip() else f"{self.label}{line}")
                self._begun = not line.endswith("\n")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)
