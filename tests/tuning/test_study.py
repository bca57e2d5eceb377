"""Studies of a function: first settings, budget, resumption, killed processes, and the best trial."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from dassl.errors import DivergedError, UserError
from tuning import storage
from tuning.outcome import Chosen, choose_settings
from tuning.space import Range
from tuning.study import Search, Study

SPACE = {"A": Range(0.1, 10), "B": Range(0, 1, log=False)}
FIRST = {"A": 1.0, "B": 0.5}


def study(tmp_path, trials=4, name="study", first=(FIRST,), **about) -> Study:
    return Study(tmp_path / f"{name}.db", Search(SPACE, list(first), trials, 0, about))


def peak(settings):
    """Highest at A = 3, whatever B is."""
    value = 100 - abs(settings["A"] - 3)
    return value, {"log_likelihood": -settings["B"], "settings": settings, "accuracy": {"btmri": value}}


def run(found: Study, objective=peak) -> list[dict]:
    found.run(objective, lambda trial: None)
    return [trial.params for trial in found.trials()]


def interrupted_at(number: int):
    calls = []

    def objective(settings):
        calls.append(settings)
        if len(calls) == number:
            raise KeyboardInterrupt
        return peak(settings)

    return objective


def test_the_default_settings_come_first_and_the_best_is_no_worse(tmp_path):
    found = study(tmp_path, 6)
    tried = run(found)
    assert tried[0] == FIRST and len(tried) == 6
    assert all(0.1 <= each["A"] <= 10 and 0 <= each["B"] <= 1 for each in tried)
    assert len({each["A"] for each in tried}) == 6
    assert found.best().value == max(trial.value for trial in found.trials()) >= 98


@pytest.mark.slow
def test_a_resumed_study_tries_what_an_uninterrupted_one_does(tmp_path):
    whole = run(study(tmp_path, 13, "whole"))  # beyond the ten that TPE draws blindly
    run(study(tmp_path, 5, "parts"))
    assert run(study(tmp_path, 13, "parts")) == whole


@pytest.mark.parametrize("number", [1, 3])
def test_a_trial_that_was_interrupted_by_hand_does_not_count(tmp_path, number):
    with contextlib.suppress(KeyboardInterrupt):
        run(study(tmp_path), interrupted_at(number))
    assert len(study(tmp_path).trials()) == number - 1
    tried = run(study(tmp_path))
    assert len(tried) == 4 and tried[0] == FIRST and FIRST not in tried[1:]


def test_a_study_that_is_complete_tries_nothing(tmp_path):
    run(study(tmp_path))
    assert len(run(study(tmp_path), interrupted_at(1))) == 4


# A process that tunes as this module does, and takes a second for a trial; it is killed over trial number `killed`.
PROCESS = """
import os, signal, sys, time
from pathlib import Path
from tests.tuning.test_study import peak, run, study
from tuning import storage

storage.HEARTBEAT, storage.GRACE = 1, 3
folder, name, killed = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]

def objective(settings):
    with (folder / name).open("a") as file:
        file.write(f"{settings['A']!r} {settings['B']!r}\\n")
    if killed and len((folder / name).read_text().splitlines()) == int(killed[0]):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1)
    return peak(settings)

run(study(folder, 6), objective)
"""


def begin(folder: Path, name: str, *killed: int) -> subprocess.Popen:
    """Start a process that works on the study in `folder`, and writes the settings that it tries to the file `name`."""
    words = [sys.executable, "-c", PROCESS, str(folder), name, *map(str, killed)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)


def tried_by(folder: Path, *names: str) -> list[dict]:
    lines = [line.split() for name in names for line in (folder / name).read_text().splitlines()]
    return [{"A": float(a), "B": float(b)} for a, b in lines]


@pytest.mark.slow
def test_two_processes_share_the_trials(tmp_path):
    processes = [begin(tmp_path, name) for name in ("one", "two")]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    tried = tried_by(tmp_path, "one", "two")
    assert len(tried) == 6 and tried.count(FIRST) == 1
    assert len({settings["A"] for settings in tried}) == 6
    assert len(study(tmp_path, 6).trials()) == 6


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.slow
def test_a_trial_whose_process_was_killed_is_done_again_with_its_settings(tmp_path, monkeypatch, number):
    monkeypatch.setattr(storage, "HEARTBEAT", 1)
    monkeypatch.setattr(storage, "GRACE", 3)
    assert begin(tmp_path, "killed", number).wait() == -9
    killed = tried_by(tmp_path, "killed")
    assert len(killed) == number and len(study(tmp_path, 6).trials()) == number - 1
    tried = run(study(tmp_path, 6))
    assert len(tried) == 6 and tried.count(killed[-1]) == 1


def test_a_trial_beyond_the_budget_is_given_up(tmp_path, monkeypatch):
    """Two processes see that one trial is left, and both ask for it."""
    run(study(tmp_path, 3))
    late, looks = study(tmp_path, 3), []
    real = late._trials

    def trials(*states: str) -> list:
        looks.append(states)
        return real(*states)[: 2 if len(looks) == 1 else None]

    monkeypatch.setattr(late, "_trials", trials)
    told: list = []
    late.run(interrupted_at(1), told.append)
    assert told == [] and len(late.trials()) == 3 and len(late.study.trials) == 4


def test_trials_of_other_processes_are_waited_for_only_until_these_are_known_to_live(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(storage, "GRACE", 1)
    found = study(tmp_path, 3)
    found.study.add_trial(found.optuna.create_trial(state=found.states.RUNNING))
    assert len(run(found)) == 2 and found.running() == 1
    assert "Waiting for 1 trials of other processes" in capsys.readouterr().err


def test_a_trial_that_fails_is_remembered_and_counts(tmp_path):
    def objective(settings):
        if settings == FIRST:
            raise DivergedError("Expected finite loss terms, but anc is nan.")
        return peak(settings)

    found = study(tmp_path, 3)
    assert len(run(found, objective)) == 3
    failed = found.trials()[0]
    assert failed.value is None and failed.user_attrs["error"].endswith("anc is nan.")
    assert found.best().number > 0
    assert choose_settings(found, {"btmri": FIRST}).default is None


def test_where_all_fail_the_last_reason_is_given(tmp_path):
    def objective(settings):
        raise DivergedError("anc is nan")

    found = study(tmp_path, 2)
    run(found, objective)
    with pytest.raises(ValueError, match="to succeed, but all failed, the last one so: anc is nan"):
        found.best()


def test_of_equal_accuracies_the_likelier_is_best(tmp_path):
    found = study(tmp_path, 5)
    run(found, lambda settings: (50.0, peak(settings)[1]))
    likeliest = max(found.trials(), key=lambda trial: trial.user_attrs["log_likelihood"])
    assert found.best().number == likeliest.number != 0


def test_a_study_of_something_else_is_not_continued(tmp_path):
    study(tmp_path, shots=[4])
    with pytest.raises(ValueError, match=r"study\.db to be a study of shots \[1\], but it is one of \[4\]: choose"):
        study(tmp_path, shots=[1])
    with pytest.raises(ValueError, match="to be a study of space"):
        Study(tmp_path / "study.db", Search({"A": Range(0.1, 5)}, [{"A": 1.0}], 4, 0, {"shots": [4]}))


def test_too_few_trials(tmp_path):
    with pytest.raises(ValueError, match="Expected --trials 2 or more, but got 1"):
        study(tmp_path, 1, first=(FIRST, {"A": 2.0, "B": 0.5}))


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"Expected Optuna, but it is not installed: pip install -e \"\.\[tune\]\""):
        study(tmp_path)


DEFAULTS = {"btmri": {"A": 1.0, "B": 0.5}, "chmnist": {"A": 5.0, "B": 0.5}}


def test_default_settings_that_differ_by_data_set_are_all_tried_and_kept_where_they_score_more(tmp_path):
    def objective(settings):  # each data set is best off with its own default
        accuracy = {name: 90.0 - abs(settings["A"] - own["A"]) for name, own in DEFAULTS.items()}
        value = sum(accuracy.values()) / 2
        return value, {"log_likelihood": 0.0, "settings": settings, "accuracy": accuracy}

    found = study(tmp_path, 5, first=DEFAULTS.values())
    assert run(found, objective)[:2] == list(DEFAULTS.values())
    assert choose_settings(found, DEFAULTS) == Chosen(DEFAULTS, 90.0, 90.0)


def test_otherwise_all_data_sets_get_the_best_trial(tmp_path):
    def objective(settings):
        value = 100 - abs(settings["A"] - 3)
        return value, {"log_likelihood": 0.0, "settings": settings, "accuracy": dict.fromkeys(DEFAULTS, value)}

    found = study(tmp_path, 12, first=DEFAULTS.values())
    run(found, objective)
    chosen, best = choose_settings(found, DEFAULTS), found.best()
    assert chosen.default == 98.0 and chosen.accuracy == best.value > 98.0
    assert chosen.settings == {"btmri": best.params, "chmnist": best.params}
