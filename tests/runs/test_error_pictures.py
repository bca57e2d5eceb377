"""errors.json is read as it was written; what was left before is removed, and nothing outside of the run."""

import pytest

from dassl.errors import UserError
from runs.error_pictures import FOLDER, MOST, picture_paths, prepare, read_index, read_picture
from tests.report.predicted import answers, jpeg, write_answers, write_pictures


@pytest.fixture
def run(tmp_path):
    """A run's folder with two errors."""
    (tmp_path / "run").mkdir()
    return write_pictures(write_answers(tmp_path / "run", *answers(20, 4), agree=False))


def test_it_is_read_as_it_was_written(run):
    found = read_index(run)
    assert (found.kind, found.phantom, len(found.errors)) == ("grad_eclip", True, 2)
    assert found.errors[0] == ("glioma tumor", "normal brain", 0.99)
    assert read_picture(picture_paths(run, 1)[0]) == ("image/jpeg", jpeg(seed=2))


def test_it_belongs_to_its_predictions(run):
    write_answers(run, *answers(20, 4, seed=1), agree=False)
    with pytest.raises(UserError, match="it is of other predictions"):
        read_index(run)


def test_a_run_without_errors_has_a_list_without_any(run):
    assert read_index(write_pictures(run, count=0)).errors == ()


def test_what_was_left_before_is_removed(run):
    (run / FOLDER / "notes.txt").write_text("mine")
    assert len(prepare(run)) == MOST
    assert [path.name for path in (run / FOLDER).iterdir()] == ["notes.txt"]


def test_nothing_is_removed_behind_a_link(run, tmp_path):
    (run / FOLDER).rename(tmp_path / "mine")
    (run / FOLDER).symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="is a link to elsewhere"):
        prepare(run)
    assert len(list((tmp_path / "mine").iterdir())) == 5
