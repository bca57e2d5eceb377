"""Copy what is printed to a log file."""

import sys
from pathlib import Path
from typing import Any

from .files import mkdir_if_missing


class Logger:
    """A stand-in for `sys.stdout` that writes to the console and appends to a file, line by line.

    Args:
        fpath: the file; None writes to the console alone.
    """

    def __init__(self, fpath: str | Path | None = None) -> None:
        self.console = sys.stdout
        self.file = None
        if fpath is not None:
            mkdir_if_missing(Path(fpath).parent)
            # Line by line, so that a run that is killed leaves all it said; appended, so that a resumed run keeps it.
            self.file = Path(fpath).open("a", buffering=1, encoding="utf-8")  # noqa: SIM115 - open while the run lasts

    def write(self, msg: str) -> int:
        """Write to both."""
        if self.file is not None:
            self.file.write(msg)
        return self.console.write(msg)

    def flush(self) -> None:
        """Flush both."""
        self.console.flush()
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        """Close the file; the console stays open."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def __enter__(self) -> "Logger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


def setup_logger(output: str | Path | None = None) -> None:
    """Copy all that is printed from now on to `<output>/log.txt`, or to `output` if it ends in .txt or .log.

    An existing file is appended to. A second call moves the copy to the new file. None does nothing.
    """
    if output is None:
        return
    path = Path(output)
    if isinstance(sys.stdout, Logger):
        sys.stdout.close()
        sys.stdout = sys.stdout.console
    sys.stdout = Logger(path if path.suffix in (".txt", ".log") else path / "log.txt")
