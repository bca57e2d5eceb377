"""The SQLite file of a study: how it is opened, locked and guarded, and how trials of killed processes are found."""

import contextlib
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from dassl.console import printable
from dassl.errors import UserError
from dassl.writing import check_within, make_folder, writing

SQLITE = ("-journal", "-wal", "-shm")  # files that SQLite writes beside its own
BUSY = 60  # seconds that SQLite waits for another process
HEARTBEAT, GRACE = 10, 60  # seconds between two heartbeats, and from the last one until a trial is given up


def load_optuna() -> Any:
    """Return the package, which then prints errors alone.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError('Expected Optuna, but it is not installed: pip install -e ".[tune]" brings it.') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def open_study(file: Path, identity: dict[str, Any]) -> Any:
    """Return the Optuna study in `file`; a new one gets `identity` as an attribute.

    A trial that is given up is enqueued again with its settings.

    Raises:
        UserError: the file holds no study.
    """
    optuna = load_optuna()
    try:
        with _experimental_allowed(optuna):
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{file}",
                engine_kwargs={"connect_args": {"timeout": BUSY}},
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
            )
        study = optuna.create_study(storage=storage, study_name="tuning", direction="maximize", load_if_exists=True)
        if "identity" not in study.user_attrs:
            study.set_user_attr("identity", identity)
        return study
    except Exception as error:  # of Optuna, SQLAlchemy or SQLite: the file is all that they are given
        words = printable(str(error).splitlines()[0][:200]) if str(error) else type(error).__name__
        raise UserError(
            f"Expected a study of this Optuna in {file}, but got: {words}: choose another --output (OUTPUT=...), or "
            "remove the file to begin again."
        ) from error


def give_up_dead_trials(study: Any) -> None:
    """Enqueue the trials again whose processes sent no heartbeat for GRACE seconds."""
    optuna = load_optuna()
    with _experimental_allowed(optuna):
        optuna.storages.fail_stale_trials(study)


@contextlib.contextmanager
def _experimental_allowed(optuna: Any) -> Iterator[None]:
    """Do not warn that heartbeats, which Optuna has since 2021, are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@contextlib.contextmanager
def locked(file: Path, within: Path) -> Iterator[None]:
    """Lock a study's file, after its folder was made; no link is followed below the folder `within`.

    Raises:
        UserError: the file, its lock, a file that SQLite writes beside it, or a folder on the way is a link.
    """
    check_within(file, within)
    with writing(file):
        make_folder(file.parent)
    for suffix in ("", *SQLITE, ".lock"):
        check_regular(Path(f"{file}{suffix}"))
    with FileLock(f"{file}.lock"):
        yield


def check_regular(path: Path) -> None:
    """Raise a UserError if something else than a file lies at `path`, such as a link to one."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise UserError(f"Expected a file or nothing at {path}, but it is a link or no file: remove it.")
