"""The outcome of a run."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dassl.errors import UserError, sentence
from runs.record import Record, read_record

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
