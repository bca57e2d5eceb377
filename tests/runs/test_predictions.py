"""Reading predictions.csv again: what a run has written, and what it refuses."""

import numpy as np
import pytest

import train
from dassl.errors import UserError
from runs.predictions import HEAD, PREDICTIONS, read_predictions
from runs.record import read_record
from tests.report.predicted import CLASSES, answers, write_answers
from tests.run_folders import probabilities, run_folder

HEADER = ",".join((*HEAD, "a", "b"))
GOOD = f"{HEADER}\r\nx.png,a,a,0.75,0.25\r\ny.png,b,a,0.6,0.4\r\n"


@pytest.fixture
def read(tmp_path):
    """read(text) -> the predictions of a run whose file holds this text."""

    def make(text: str):
        (tmp_path / PREDICTIONS).write_text(text, newline="")
        return read_predictions(tmp_path)

    return make


def test_a_run_is_read_as_it_was_written_and_pictures_of_its_errors_do_not_undo_it(flags, tmp_path, capsys):
    line = flags("CoOp")
    assert train.main(line) == 0
    folder = run_folder(tmp_path, "CoOp")
    found = read_predictions(folder)
    assert found.classes == CLASSES and found.paths[0] == "glioma_tumor/test0.png"
    assert np.allclose(found.probabilities, probabilities(folder).numpy())
    assert 100 * found.hits.mean() == pytest.approx(read_record(folder / "metrics.json").metrics["accuracy"])
    (folder / "errors").mkdir()  # beside the folder of its checkpoint
    assert train.main(line) == 0
    assert "Finished already, nothing to do" in capsys.readouterr().out


def test_answers(read):
    found = read(GOOD)
    assert found.classes == ("a", "b") and found.paths == ["x.png", "y.png"]
    assert found.labels.tolist() == [0, 1] and found.predicted.tolist() == [0, 0]
    assert found.confidence.tolist() == [0.75, 0.6] and found.hits.tolist() == [True, False]


def test_names_that_a_spreadsheet_would_compute_are_read_back(tmp_path):
    labels, shares = answers(20, 3)
    found = read_predictions(write_answers(tmp_path, labels, shares, ("=1+1", 'a,"b"', "-"), agree=False))
    assert found.classes == ("'=1+1", 'a,"b"', "-") and np.array_equal(found.labels, labels)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its columns are not path, label, predicted"),
        ("a,b\r\n", "its columns are not"),
        (",".join(HEAD), "a class each"),
        (f"{HEADER}\r\n", "no images"),
        (f"{','.join((*HEAD, 'a', 'a'))}\r\n", "two of one name"),
        (f"{','.join((*HEAD, *map(str, range(1001))))}\r\n", "more than 1,000 classes"),
        (f"{GOOD}x,a,a,1", "a line has 4 cells instead of 5"),
        (f"{GOOD}x,c,a,1,0", "line 4 names a class that is no column"),
        (f"{GOOD}x,a,c,1,0", "line 4 names a class that is no column"),
        (f"{GOOD}x,a,a,one,0", "could not convert"),
        (f"{GOOD}x,a,a,nan,0", "image 3 are none"),
        (f"{GOOD}x,a,a,inf,-inf", "image 3 are none"),
        (f"{GOOD}x,a,a,1.2,-0.2", "image 3 are none"),
        (f"{GOOD}x,a,a,0.6,0.3", "do not sum to 1"),
        (f"{GOOD}x,a,b,0.6,0.4", "image 3 is not predicted as its most probable class"),
        (f"{','.join((*HEAD, 'a', chr(0x202E)))}\r\n", "name of a class"),
    ],
)
def test_what_is_no_file_of_a_run_is_told(read, text, words):
    with pytest.raises(UserError, match=PREDICTIONS) as caught:
        read(text)
    assert words in str(caught.value) and "\u202e" not in str(caught.value)


def test_probabilities_that_were_rounded_are_fine(read):
    found = read(f"{HEADER}\r\nx,a,b,0.5000004,0.4999996\r\n")
    assert found.predicted.tolist() == [1]


def test_a_run_without_predictions(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_predictions(tmp_path)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere.csv").write_text(GOOD)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / PREDICTIONS).symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(UserError, match="is a symbolic link"):
        read_predictions(tmp_path / "run")
