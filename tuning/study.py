"""An Optuna study in an SQLite file: it can be resumed, and several processes may work on it at once."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dassl.errors import DivergedError, UserError
from tuning.space import Range

Settings = dict[str, float]
Objective = Callable[[Settings], tuple[float, dict[str, Any]]]


@dataclass(frozen=True)
class Search:
    """What is searched, and what the scores depend on.

    Attributes:
        space: range of each setting.
        first: settings that are tried before the sampler draws any.
        trials: how many are tried in all, by all processes and resumptions together.
        seed: of the sampler.
        about: all else that a score depends on; a study with other values is not continued.
    """

    space: dict[str, Range]
    first: list[Settings]
    trials: int
    seed: int
    about: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        return {**self.about, "space": {name: list(span) for name, span in self.space.items()}, "sampler": self.seed}


def optuna():
    """The package, quiet.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError('Expected Optuna, but it is not installed: pip install -e ".[tune]" brings it.') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Study:
    """The study in `file`, begun if there is none.

    Raises:
        UserError: Optuna is not installed.
        UserError: the file holds a study of something else, or fewer trials are asked for than come first.
    """

    def __init__(self, file: Path, search: Search):
        if search.trials < len(search.first):
            raise UserError(
                f"Expected --trials {len(search.first)} or more, but got {search.trials}: so many default settings are "
                "tried first."
            )
        package = optuna()
        self.file, self.search = file, search
        self.sampler, self.state = package.samplers.TPESampler, package.trial.TrialState
        file.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(f"{file}.lock")
        with self.lock:
            self.study = package.create_study(
                storage=f"sqlite:///{file}", study_name="tuning", direction="maximize", load_if_exists=True
            )
            if "identity" not in self.study.user_attrs:
                self.study.set_user_attr("identity", search.identity)
        self._check(self.study.user_attrs["identity"])

    def _check(self, found: dict[str, Any]) -> None:
        for name, wanted in self.search.identity.items():
            if found.get(name) != wanted:
                raise UserError(
                    f"Expected {self.file} to be a study of {name} {wanted}, but it is one of {found.get(name)}: "
                    "choose another --output, or remove the file to begin again."
                )

    def trials(self) -> list:
        """Trials that came to an end, by number; interrupted ones did not."""
        ended = self.study.get_trials(states=(self.state.COMPLETE, self.state.FAIL))
        return [trial for trial in ended if trial.value is not None or "error" in trial.user_attrs]

    def best(self):
        """The trial with the highest value; of equals the likeliest, then the earliest.

        Raises:
            UserError: none succeeded; says why the last one failed.
        """
        succeeded = [trial for trial in self.trials() if trial.value is not None]
        if not succeeded:
            why = self.trials()[-1].user_attrs["error"]
            raise UserError(f"Expected a trial of {self.file} to succeed, but all failed, the last one so: {why}")
        return max(succeeded, key=lambda trial: (trial.value, trial.user_attrs["log_likelihood"], -trial.number))

    def run(self, objective: Objective, tell: Callable[[Any], None]) -> None:
        """Try settings until all trials are taken; `tell` is called with each one of this process after it.

        `objective` returns a setting's value and what to remember of it: "log_likelihood", which decides between equal
        values, "settings" as they were tried, and more. A DivergedError from it fails the trial; any other error
        interrupts the study.
        """
        while True:
            with contextlib.ExitStack() as held:
                with self.lock:
                    trial = self._take()
                    if trial is None:
                        return
                    held.enter_context(self._lock(trial.number))
                self._try(trial, objective)
            self._lock_file(trial.number).unlink(missing_ok=True)
            tell(self.study.trials[trial.number])

    def _take(self):
        """The next trial, with its settings drawn; None when all are taken.

        The sampler is seeded by the trial's place, so that a resumed study goes on as it would have.
        """
        running = self.study.get_trials(states=(self.state.RUNNING,))
        taken = [trial.params for trial in self.trials()]
        taken += [trial.params for trial in running if not self._interrupted(trial)]
        if len(taken) >= self.search.trials:
            return None
        first = [settings for settings in self.search.first if settings not in taken]
        if first:
            self.study.enqueue_trial(first[0])
        self.study.sampler = self.sampler(seed=self.search.seed + len(taken))
        trial = self.study.ask()
        for name, (low, high, log) in self.search.space.items():
            trial.suggest_float(name, low, high, log=log)
        return trial

    def _try(self, trial, objective: Objective) -> None:
        try:
            value, remembered = objective(trial.params)
        except DivergedError as error:
            trial.set_user_attr("error", str(error))
            self.study.tell(trial, state=self.state.FAIL)
            return
        for name, each in remembered.items():
            trial.set_user_attr(name, each)
        self.study.tell(trial, value)

    def _interrupted(self, trial) -> bool:
        """Whether the process of a running trial is gone; it then counts no more, and another takes its place."""
        try:
            with self._lock(trial.number):
                pass
        except Timeout:
            return False
        self.study.tell(trial.number, state=self.state.FAIL)
        self._lock_file(trial.number).unlink(missing_ok=True)
        return True

    def _lock_file(self, number: int) -> Path:
        return Path(f"{self.file}.trial-{number}.lock")

    def _lock(self, number: int) -> FileLock:
        """Held while a trial runs; the operating system opens it when the process ends, however it ends."""
        return FileLock(self._lock_file(number), timeout=0)
