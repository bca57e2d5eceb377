"""How many of many runs failed, and why: told at the end of a loop over commands.

    python -m runs.tally FILE

The scripts of scripts/ name a file in the environment variable VMFCOOP_TALLY, in which each command of a loop notes
its runs, and print the summary at their end.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import toolbox  # noqa: F401, its dassl comes first
from dassl.console import printable
from dassl.errors import command
from dassl.reading import read_text
from dassl.writing import open_to_append
from runs.outcome import Outcome, failure_lines
from runs.spec import RunSpec

VARIABLE = "VMFCOOP_TALLY"


class Tally:
    """Count runs, and keep a line for each reason why some are not done.

    >>> tally = Tally()
    >>> tally.add(RunSpec("coop", "btmri", 4), [Outcome(1, "done"), Outcome(2, "failed", reason="no images.")])
    >>> print(tally)
    1 of 2 runs failed.
    failed: CoOp on btmri, K = 4, seed 2: no images.
    """

    def __init__(self) -> None:
        self.runs = self.failed = 0
        self.lines: list[str] = []

    def add(self, spec: RunSpec, outcomes: Sequence[Outcome]) -> None:
        """Count the runs of a specification."""
        self.runs += len(outcomes)
        self.failed += sum(not outcome.done for outcome in outcomes)
        self.lines += failure_lines(spec, outcomes)

    def read(self, lines: Iterable[str]) -> None:
        """Count the runs that `note` has noted in these lines."""
        for line in lines:
            runs, failed, *told = line.split("\t")
            self.runs += int(runs)
            self.failed += int(failed)
            self.lines += told

    def __str__(self) -> str:
        return "\n".join([f"{self.failed} of {self.runs} runs failed.", *map(printable, self.lines)])


def note(spec: RunSpec, outcomes: Sequence[Outcome]) -> None:
    """Add the runs of a specification to the file that the environment names, if it names one."""
    if file := os.environ.get(VARIABLE):
        tally = Tally()
        tally.add(spec, outcomes)
        line = "\t".join([str(tally.runs), str(tally.failed), *map(printable, tally.lines)])
        with open_to_append(file) as stream:
            stream.write(f"{line}\n".encode())


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the summary of the file that is named."""
    (file,) = sys.argv[1:] if argv is None else argv
    tally = Tally()
    tally.read(read_text(Path(file)).splitlines())
    print(tally)
    return 0


if __name__ == "__main__":
    sys.exit(main())
