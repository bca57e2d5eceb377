"""An Optuna study in an SQLite file: it can be resumed, and several processes may work on it at once."""

import contextlib
import math
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from dassl.console import printable
from dassl.errors import DivergedError, UserError
from dassl.names import shared_name
from dassl.writing import check_within, make_folder, writing
from report.render import without_places
from tuning.space import Range, checked

SQLITE = ("-journal", "-wal", "-shm")  # files that SQLite writes beside its own
WORDS = 1000  # of a failed trial's reason, in characters
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


class About(NamedTuple):
    """What is remembered of a trial that succeeded; `accuracy` and `images` are of each data set."""

    settings: Settings
    accuracy: dict[str, float]
    images: dict[str, int]
    log_likelihood: float
    seconds: float


class Study:
    """The study in `file`, begun if there is none.

    Whoever gave the file may have written anything into it: what is read from it is checked.

    Args:
        file: an SQLite file.
        search: what is searched.
        within: the folder of studies, which the file lies in; by default the file's own.

    Raises:
        UserError: Optuna is not installed.
        UserError: the file holds a study of something else, or none, or fewer trials are asked for than come first.
        UserError: the file, its lock or a folder on the way is a link.
    """

    def __init__(self, file: Path, search: Search, within: Path | None = None):
        if search.trials < len(search.first):
            raise UserError(
                f"Expected --trials {len(search.first)} or more, but got {search.trials}: so many default settings are "
                "tried first."
            )
        package = optuna()
        self.file, self.search, self.within = file, search, within or file.parent
        self.sampler, self.state = package.samplers.TPESampler, package.trial.TrialState
        check_within(file, self.within)
        with writing(file):
            make_folder(file.parent)
        for suffix in ("", *SQLITE):
            check_regular(Path(f"{file}{suffix}"))
        self.lock = lock(Path(f"{file}.lock"))
        with self.lock:
            self.study = self._begin(package)
        self._check(self.study.user_attrs["identity"])

    def _begin(self, package):
        """The study of the file, which says what it is of."""
        try:
            study = package.create_study(
                storage=f"sqlite:///{self.file}", study_name="tuning", direction="maximize", load_if_exists=True
            )
            if "identity" not in study.user_attrs:
                study.set_user_attr("identity", self.search.identity)
            return study
        except Exception as error:  # of Optuna, SQLAlchemy or SQLite: the file is all that they are given
            words = printable(str(error).splitlines()[0][:200]) if str(error) else type(error).__name__
            raise UserError(
                f"Expected a study of this Optuna in {self.file}, but got: {words}: choose another --output, or remove "
                "the file to begin again."
            ) from error

    def _check(self, found: Any) -> None:
        for name, wanted in self.search.identity.items():
            known = found.get(name) if isinstance(found, dict) else None
            with contextlib.suppress(AttributeError, TypeError):  # earlier studies name folders of their machine
                known = {"backbone": shared_name, "settings": without_places}.get(name, lambda same: same)(known)
            if known != wanted:
                raise UserError(
                    f"Expected {self.file} to be a study of {name} {wanted}, but it is one of "
                    f"{printable(str(known)[:200])}: choose another --output, or remove the file to begin again."
                )

    def about(self, trial) -> About:
        """What is remembered of a trial that succeeded.

        Raises:
            UserError: it is not what a trial leaves; names it.
        """
        found, where = trial.user_attrs, f"trial {trial.number + 1} of {self.file}"
        settings = checked(found.get("settings"), self.search.space, where)
        try:
            _finite(trial.value)
            return About(
                settings,
                {str(name): _finite(value) for name, value in found["accuracy"].items()},
                {str(name): int(_finite(value)) for name, value in found.get("images", {}).items()},
                _finite(found["log_likelihood"]),
                _finite(found.get("seconds", 0.0)),
            )
        except (KeyError, AttributeError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"Expected the scores of {where}, but got {printable(repr(error)[:100])}: remove the file to begin "
                "again."
            ) from error

    def params(self, trial) -> Settings:
        """The settings that the sampler drew for a trial; raises as `about`."""
        return checked(trial.params, self.search.space, f"trial {trial.number + 1} of {self.file}")

    def error(self, trial) -> str:
        """Why a trial failed, in words; "" for one that did not."""
        return str(trial.user_attrs.get("error", ""))[:WORDS]

    def succeeded(self) -> list:
        """Trials with a value, by number."""
        return [trial for trial in self.trials() if trial.value is not None]

    def trials(self) -> list:
        """Trials that came to an end, by number; interrupted ones did not."""
        ended = self.study.get_trials(states=(self.state.COMPLETE, self.state.FAIL))
        return [trial for trial in ended if trial.value is not None or "error" in trial.user_attrs]

    def best(self):
        """The trial with the highest value; of equals the likeliest, then the earliest.

        Raises:
            UserError: none succeeded; says why the last one failed.
        """
        succeeded = self.succeeded()
        if not succeeded:
            why = self.error(self.trials()[-1])
            raise UserError(f"Expected a trial of {self.file} to succeed, but all failed, the last one so: {why}")
        return max(succeeded, key=lambda trial: (trial.value, self.about(trial).log_likelihood, -trial.number))

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
        return lock(self._lock_file(number), timeout=0)


def lock(path: Path, timeout: float = -1) -> FileLock:
    """A lock on a file that is no link, which would be emptied where it leads."""
    check_regular(path)
    return FileLock(path, timeout=timeout)


def check_regular(path: Path) -> None:
    """Raise a UserError if something else than a file lies at `path`, such as a link to one."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise UserError(f"Expected a file or nothing at {path}, but it is a link or no file: remove it.")


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:50]} where a number should be")
    return float(value)
