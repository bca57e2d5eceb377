import contextlib
import sys

import pytest

from dassl.errors import DivergedError, UserError
from tuning.outcome import Chosen, choose
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


def test_a_resumed_study_tries_what_an_uninterrupted_one_does(tmp_path):
    whole = run(study(tmp_path, 13, "whole"))  # beyond the ten that TPE draws blindly
    run(study(tmp_path, 5, "parts"))
    assert run(study(tmp_path, 13, "parts")) == whole


@pytest.mark.parametrize("number", [1, 3])
def test_an_interrupted_trial_is_done_again(tmp_path, number):
    whole = run(study(tmp_path, 4, "whole"))
    with contextlib.suppress(KeyboardInterrupt):
        run(study(tmp_path, 4, "parts"), interrupted_at(number))
    assert len(study(tmp_path, 4, "parts").trials()) == number - 1
    assert run(study(tmp_path, 4, "parts")) == whole


def test_a_study_that_is_complete_tries_nothing(tmp_path):
    run(study(tmp_path))
    assert len(run(study(tmp_path), interrupted_at(1))) == 4


def test_a_second_process_takes_other_trials_and_the_budget_is_for_both(tmp_path):
    """The second one works while the first is in a trial; only locks and the file lie between them."""
    second = []

    def objective(settings):
        if not second:
            second.append(settings)
            second.extend(run(study(tmp_path, 5)))
        return peak(settings)

    assert len(run(study(tmp_path, 5), objective)) == 5
    assert len(second) == 5 and FIRST not in second[1:]  # its own first trial, and four that the other one took


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
    assert choose(found, {"btmri": FIRST}).default is None


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
    assert choose(found, DEFAULTS) == Chosen(DEFAULTS, 90.0, 90.0)


def test_otherwise_all_data_sets_get_the_best_trial(tmp_path):
    def objective(settings):
        value = 100 - abs(settings["A"] - 3)
        return value, {"log_likelihood": 0.0, "settings": settings, "accuracy": dict.fromkeys(DEFAULTS, value)}

    found = study(tmp_path, 12, first=DEFAULTS.values())
    run(found, objective)
    chosen, best = choose(found, DEFAULTS), found.best()
    assert chosen.default == 98.0 and chosen.accuracy == best.value > 98.0
    assert chosen.settings == {"btmri": best.params, "chmnist": best.params}
