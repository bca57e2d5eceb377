"""The outcome of a run, and the lines about runs that are not done."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dassl.errors import UserError, sentence
from runs.methods import row_name
from runs.record import Record, read_record
from runs.spec import RunSpec

KINDS = {"few_shot": "", "base2new": " base to novel"}  # setting -> in words, after a method's name
DONE, BEFORE, FAILED, LEFT = "done", "finished before", "failed", "left"


@dataclass(frozen=True)
class Outcome:
    """The outcome of one seed's run.

    Attributes:
        seed: -1 for a run without one.
        state: DONE, finished BEFORE, FAILED, or LEFT to another process.
        folder: of the run; None if it failed before it had one.
        reason: why it is not done, in one line; "" if it is.
        unforeseen: whether it failed with nothing that a user can mend.
        error: what it failed with, in the process that it failed in.
    """

    seed: int
    state: str
    folder: Path | None = None
    reason: str = ""
    unforeseen: bool = False
    error: Exception | None = field(default=None, compare=False)

    @classmethod
    def failed(cls, seed: int, folder: Path | None, error: Exception) -> "Outcome":
        """Return the outcome of a run that failed with `error`."""
        words = sentence(error)
        reason = words or f"{type(error).__name__}: {error}"
        return cls(seed, FAILED, folder, " ".join(reason.split()), not words, error)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"error": None}  # some errors cannot be sent to another process

    @property
    def done(self) -> bool:
        """Whether its results are there."""
        return self.state in (DONE, BEFORE)

    @property
    def log(self) -> Path | None:
        """The run's log, None without one."""
        path = self.folder / "log.txt" if self.folder else None
        return path if path and path.is_file() else None

    @property
    def record(self) -> Record:
        """The record of a run that is done."""
        return read_record(self._file("metrics.json"))

    @property
    def predictions(self) -> list[dict[str, str]]:
        """Rows of predictions.csv: path, label, predicted, and the probability of each class."""
        with self._file("predictions.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _file(self, name: str) -> Path:
        if self.folder is None or not self.done:
            raise UserError(f"Expected a finished run of seed {self.seed}, but it is {self.state}: {self.reason}")
        return self.folder / name


def title(spec: RunSpec, seeds: Sequence[int]) -> str:
    """Return a line that names runs.

    >>> title(RunSpec("coop", "btmri", 16, setting="base2new"), [1, 2])
    'CoOp base to novel on btmri, K = 16, seeds 1 2'
    """
    several = "seeds" if len(seeds) > 1 else "seed"
    kind = KINDS[spec.setting]
    row = row_name(f"{spec.trainer}:{spec.protocol}")
    return f"{row}{kind} on {spec.dataset}, K = {spec.shots}, {several} {' '.join(map(str, seeds))}"


def failure_lines(job: RunSpec, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a line for each reason why runs of a job are not done."""
    seeds: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.done:
            seeds.setdefault((outcome.state, outcome.reason), []).append(outcome)
    for (state, reason), group in seeds.items():
        log = f" (log: {group[0].log})" if group[0].log else ""
        yield f"{state}: {title(job, [outcome.seed for outcome in group])}: {reason}{log}"
