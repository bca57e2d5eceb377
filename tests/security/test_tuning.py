"""A study, a summary or a tuned file that someone else made, and links where a study is kept."""

import csv
import json
import sqlite3
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from dassl.errors import DivergedError, UserError
from report.render import render
from reproduce.document import chosen_settings
from reproduce.plan import tuned_options
from tests.security.received import HOSTILE, UNSEEN, bounded
from tuning import storage
from tuning.outcome import choose_settings, trials_table, write_outcome, yaml_text
from tuning.space import SPACE, Range, checked
from tuning.study import Search, Study

NAMES = st.text(max_size=50) | st.sampled_from([*HOSTILE, *UNSEEN])
RANGES = {"A": Range(0.1, 10), "B": Range(0, 1, log=False)}
FIRST = {"A": 1.0, "B": 0.5}
EVIL = "x: 1\nMODEL:\n  BACKBONE:\n    NAME: local-dir:/evil\nTRAINER"
ABOUT = {"trainer": "vMFCoOp", "backbone": "PhantomCLIP", "phantom": True, "shots": [4], "seeds": [101]}
ABOUT |= {"validation": "whole", "settings": []}
SCORES = {"accuracy": {"btmri": 50.0}, "images": {"btmri": 3}, "log_likelihood": -1.0, "seconds": 1.0}


def begun(folder: Path, **about) -> Study:
    return Study(folder / "s" / "study.db", Search(RANGES, [FIRST], 2, 0, ABOUT | about), folder)


def tried(folder: Path, **remembered) -> Study:
    """A study with two trials of which `remembered` is known."""
    found = begun(folder)
    found.run(lambda drawn: (50.0, {"settings": dict(drawn)} | SCORES | remembered), lambda trial: None)
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {EVIL: 1.0, "B": 0.5},
        FIRST | {"MODEL.BACKBONE.NAME": 1.0},
        {"A": 1.0},
        {"A": "1", "B": 0.5},
        {"A": True, "B": 0.5},
        {"A": 1e300, "B": 0.5},
        {"A": [1], "B": 0.5},
        {"A": "!!python/object/apply:os.system ['x']", "B": 0.5},
        [],
        3,
        None,
        "A",
    ],
)
def test_settings_of_a_study_are_numbers_of_what_it_searches(tmp_path, settings):
    found = tried(tmp_path, settings=settings)
    for use in (found.best, lambda: choose_settings(found, {"btmri": FIRST}), lambda: trials_table(found)):
        with pytest.raises(UserError, match=r"(settings|A) .*in trial \d of .*study\.db"):
            use()


@pytest.mark.parametrize(
    "remembered",
    [
        {"accuracy": 3},
        {"accuracy": {"btmri": "x"}},
        {"accuracy": {"btmri": float("inf")}},
        {"log_likelihood": "x"},
        {"log_likelihood": None},
        {"images": [1]},
        {"images": {"btmri": "<b>"}},
        {"seconds": {}},
    ],
)
def test_what_is_remembered_of_a_trial_is_of_its_type(tmp_path, remembered):
    found = tried(tmp_path, **remembered)
    with pytest.raises(UserError, match=r"Expected the scores of trial 1 of .*study\.db"):
        found.best()


def test_an_identity_of_another_type_is_another_study(tmp_path):
    begun(tmp_path).study.set_user_attr("identity", ["\x1b[2J"])
    with pytest.raises(UserError, match="to be a study of trainer vMFCoOp, but it is one of None"):
        begun(tmp_path)
    begun(tmp_path / "b").study.set_user_attr("identity", ABOUT | {"trainer": "\x1b[2J", "backbone": 3})
    with pytest.raises(UserError, match=r"one of \\x1b\[2J"):
        begun(tmp_path / "b")


@pytest.mark.parametrize("value", [1e300, 11.0, float("nan"), "x", [1], None])
def test_enqueued_settings_of_others_are_not_tried(tmp_path, value):
    study, seen = begun(tmp_path), []
    study.study.enqueue_trial({"A": value, "B": 0.5})
    with pytest.raises(UserError, match=r"trial 2 of .*study\.db"):
        study.run(lambda drawn: seen.append(drawn) or (50.0, {"settings": drawn} | SCORES), lambda trial: None)
    assert seen == [FIRST]


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_file_that_is_no_study_is_one_sentence(tmp_path, content):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "study.db").write_bytes(content)
    if content:
        with bounded(), pytest.raises(UserError, match=r"Expected a study of this Optuna in .*study\.db, but got"):
            begun(tmp_path)
    else:
        begun(tmp_path)  # a new one


def test_a_database_of_something_else_is_one_sentence(tmp_path):
    (tmp_path / "s").mkdir()
    with sqlite3.connect(tmp_path / "s" / "study.db") as file:
        file.execute("CREATE TABLE studies (a)")
    with pytest.raises(UserError, match="Expected a study of this Optuna"):
        begun(tmp_path)


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm", ".lock"])
def test_a_link_in_place_of_a_file_of_the_study_is_refused(tmp_path, suffix):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "o" / "s").mkdir(parents=True)
    (tmp_path / "o" / "s" / f"study.db{suffix}").symlink_to(precious)
    with pytest.raises(UserError, match="is a link or no file"):
        tried(tmp_path / "o")
    assert precious.read_text() == "mine"


def test_a_link_among_its_folders_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "s").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link to elsewhere"):
        begun(tmp_path / "o")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_every_lock_is_made_where_links_are_refused():
    text = Path(storage.__file__).read_text()
    assert text.count("FileLock(") == 1


def test_what_is_chosen_is_written_through_no_link_and_below_its_folder(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    found = tried(tmp_path / "o")
    name = "x/../../../../home/pwn"
    folder = found.file.parent
    places = [folder / "study_btmri.yaml", found.file.with_suffix(".json"), found.file.with_suffix(".csv")]
    for path in places:
        path.symlink_to(precious)
        Path(f"{path}.part").symlink_to(precious)
    chosen = choose_settings(found, {"btmri": FIRST})
    chosen.settings[name] = FIRST
    study_images = {"btmri": 3, name: 3}
    found.about = lambda trial: Study.about(found, trial)._replace(images=study_images)
    files, others = write_outcome(found, chosen)
    written = [*files.values(), *others]
    assert precious.read_text() == "mine" and all(path.is_file() and not path.is_symlink() for path in written)
    assert all(path.parent == folder for path in written) and places[0] in written
    (tmp_path / "o" / "s").rename(tmp_path / "moved")
    (tmp_path / "o" / "s").symlink_to(tmp_path / "moved")
    with pytest.raises(UserError, match="is a link to elsewhere"):
        write_outcome(found, chosen)


def test_reasons_of_failed_trials_are_no_formulas(tmp_path):
    def diverge(drawn):
        raise DivergedError("=cmd|' /C calc'!A0\n\x1b[2J")

    found = begun(tmp_path)
    found.run(diverge, lambda trial: None)
    rows = list(csv.reader(render(*trials_table(found), "csv").splitlines()))
    assert [row[-1] for row in rows[1:]] == ["'=cmd|' /C calc'!A0\\n\\x1b[2J"] * 2


@given(st.lists(NAMES, max_size=3), st.floats(-1e9, 1e9))
@example(["a\nMODEL: {BACKBONE: {NAME: local-dir:/evil}}", "a\x85TRAINER: 1", "a\u2028b: 1"], 1e-05)
def test_a_tuned_file_holds_the_settings_alone(lines, value):
    text = yaml_text("vMFCoOp", {"TAU_0": value, "LAMBDA_SC": 1.0}, lines)
    assert yaml.safe_load(text) == {"TRAINER": {"VMFCOOP": {"TAU_0": value, "LAMBDA_SC": 1.0}}}
    assert next(line for line in text.splitlines() if not line.startswith("#")) == "TRAINER:"


@pytest.mark.parametrize(
    "content",
    [
        "TRAINER: {VMFCOOP: {TAU_0: 1.0}}\nMODEL: {BACKBONE: {NAME: 'local-dir:/evil'}}",
        "TRAINER: {VMFCOOP: {TAU_0: 1.0, 'PREC MODEL.BACKBONE.NAME': 1.0}}",
        "TRAINER: {VMFCOOP: {TAU_0: 'local-dir:/evil'}}",
        "TRAINER: {VMFCOOP: {PREC: 1.0}}",
        "TRAINER: {VMFCOOP: {TAU_0: .nan}}",
        "TRAINER: {VMFCOOP: {TAU_0: .inf}}",
        "TRAINER: {BIOMEDCOOP: {TAU: 1.0}}",
        "TRAINER: {VMFCOOP: {}}",
        "TRAINER: [VMFCOOP]",
        "3",
        "",
        "!!python/object/apply:os.system ['touch PWNED']",
        "[" * 100_000,
    ],
)
def test_a_tuned_file_of_others_gives_numbers_of_the_search_alone(tmp_path, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "btmri.yaml").write_text(content)
    with bounded(), pytest.raises(UserError, match=r"btmri\.yaml"):
        tuned_options(tmp_path / "btmri.yaml", "vMFCoOp")
    assert not (tmp_path / "PWNED").exists()


def test_a_tuned_file_gives_words():
    assert checked({"TAU_0": 1}, SPACE["vMFCoOp"], "x", every=False) == {"TAU_0": 1.0}


SUMMARY = {"trainer": "vMFCoOp", "shots": [4], "trials": 40, "images": {"btmri": 120}, "validation": "whole"}
SUMMARY |= {"default": 70.0, "accuracy": 72.5, "settings": {"btmri": {"TAU_0": 2.0}}}


@pytest.mark.parametrize(
    "more",
    [
        {"trainer": "CoOp"},
        {"trainer": ["x"]},
        {"settings": {"btmri": {"=cmd": 1.0}}},
        {"settings": {"btmri": {"TAU_0": "x"}}},
        {"settings": {"a\nb": {"TAU_0": 1.0}}},
        {"settings": []},
        {"images": {}},
        {"images": {"btmri": "<script>"}},
        {"default": "x"},
        {"accuracy": 10**400},
        {"shots": ["<b>"]},
        {"shots": 3},
        {"trials": "x"},
        {"validation": "a\x1b[2J"},
    ],
)
def test_a_strange_summary_of_a_study_is_a_line_and_the_others_are_shown(tmp_path, more):
    for name, found in (("good", SUMMARY), ("strange", SUMMARY | more)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "btmri.json").write_text(json.dumps(found))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "btmri.json").symlink_to("/dev/zero")
    with bounded():
        (table,), problems = chosen_settings(tmp_path)
    assert len(table.splitlines()) == 3 and "TAU_0 2" in table
    assert len(problems) == 2 and any("strange/btmri.json" in line for line in problems)
    assert str(tmp_path) not in "".join(problems)
