"""Copy printed text to a log file."""

import io
import sys
from pathlib import Path
from typing import Any

from dassl.console import printable_text
from dassl.writing import open_to_append, writing


class Logger:
    """A replacement for `sys.stdout` that writes to the console and appends to a file, line by line.

    Characters that steer a terminal are escaped in the file, since it may be printed on one.

    Args:
        fpath: the file; None writes to the console only.
        verbose: False writes to the file alone what is printed; `dassl.console.tell` reaches the console all the same.

    Raises:
        UserError: at construction or later, the file cannot be written for lack of room or rights, or is a link.
    """

    def __init__(self, fpath: str | Path | None = None, verbose: bool = True) -> None:
        self.console: Any = sys.stdout
        self.verbose = verbose
        self.file = None
        if fpath is not None:
            self.path = Path(fpath)
            # Line by line, so that a killed run leaves a complete log; appended, so that a resumed run goes on in it.
            appended = io.BufferedWriter(open_to_append(self.path))
            self.file = io.TextIOWrapper(appended, encoding="utf-8", errors="backslashreplace", line_buffering=True)

    def write(self, msg: str) -> int:
        """Write to the file, and if verbose to the console."""
        self.write_file(msg)
        return self.console.write(msg) if self.verbose else len(msg)

    def write_both(self, line: str) -> None:
        """Write a line to the file and to the console, verbose or not."""
        self.write_file(f"{line}\n")
        self.console.write(f"{line}\n")

    def write_file(self, msg: str) -> None:
        """Write to the file alone."""
        if self.file is not None:
            with writing(self.path):
                self.file.write(printable_text(msg))

    def flush(self) -> None:
        """Flush the console and the file."""
        self.console.flush()
        if self.file is not None:
            with writing(self.path):
                self.file.flush()

    def close(self) -> None:
        """Close the file; the console stays open."""
        if self.file is not None:
            file, self.file = self.file, None
            with writing(self.path):
                file.close()

    def __enter__(self) -> "Logger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.console, name)


def print_detail(words: str, verbose: bool) -> None:
    """Print what is read in a log rather than on a console: to the log in any case, to the console if `verbose`."""
    if verbose:
        print(words)
    elif isinstance(sys.stdout, Logger):
        sys.stdout.write_file(f"{words}\n")


def setup_logger(output: str | Path | None = None) -> None:
    """Copy all printed text from now on to `<output>/log.txt`, or to `output` if it ends in .txt or .log.

    Text is appended to an existing file. A second call closes the first file and opens another. None does nothing.
    """
    if output is None:
        return
    path = Path(output)
    if isinstance(sys.stdout, Logger):
        sys.stdout.close()
        sys.stdout = sys.stdout.console
    sys.stdout = Logger(path if path.suffix in (".txt", ".log") else path / "log.txt")
