"""What survives in a log that is shown to others: the code's own words, and nothing of a path or a name."""

import re
import string
import sysconfig
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dassl.errors import UserError
from runs.scrub import ROOT, Scrub

SCRUB = Scrub()
MARK = "qzxj"  # in no word of the code
LINES = (
    "{}",
    "Expected images in {}, but there is none: correct it.",
    "Expected {} and {} to be alike.",
    "Checkpoint saved to {}/prompt_learner/model.pth.tar-3",
    "  ROOT: {}",
    "FileNotFoundError: [Errno 2] No such file or directory: '{}'",
    'UserError: Expected one label for each image, but list.csv lists "{}" twice',
    '  File "{}", line 12, in forward',
    '  File "/opt/{}/trainers/coop.py", line 12, in {}',
    "    raise UserError(f'{}')",
    "epoch [1/2] batch [16/16] time 0.008 {}",
    "user {} on host {}",
    "https://{}:secret@host/{}?token={}",
)
SYMBOLS = [" ", "  ", ".", "-", "_", "'", '"', ",", ": ", " (", "\t", "\xa0", "😀", "/", "\\", "..", "=", "~", "@"]
marked = st.builds("{}{}".format, st.just(MARK), st.text(string.ascii_letters + string.digits + "éß漢_", max_size=5))
names = st.lists(st.tuples(marked, st.sampled_from(SYMBOLS)), min_size=1, max_size=5).map(
    lambda parts: "".join(word + symbol for word, symbol in parts)
)
ends = st.sampled_from(["", ".png", ".dcm", ".nii.gz", ".xyz", "/", "\\"])
starts = st.sampled_from(["", "/", "~/", "../", "C:\\", "\\\\host\\", "local-dir:/", "file:///", "/home/user/"])


def test_the_mark_is_no_word_of_the_code():
    assert not any(MARK in word.casefold() for word in SCRUB.known)


@given(st.sampled_from(LINES), starts, names, ends)
@example(LINES[1], "/home/user/", f"{MARK} {MARK} 01", "")
@example(LINES[1], "", f"{MARK} {MARK}", ".png")
def test_no_word_of_a_path_or_name_survives(line, start, name, end):
    shown = SCRUB.line(line.replace("{}", f"{start}{name}{end}"))
    assert MARK not in shown.casefold()


@given(st.text(min_size=1, max_size=30).filter(lambda text: "\n" not in text), st.sampled_from(LINES))
def test_no_absolute_path_survives_whatever_it_is_made_of(name, line):
    path = f"/{name}/images/test.png"  # the code's words are no excuse
    assert path not in SCRUB.line(line.replace("{}", path))
    assert "images/test.png" not in SCRUB.line(line.replace("{}", path))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            "epoch [58/100] batch [16/16] time 0.009 (0.009) loss 2.84 lr 1.1728e-03 eta 0:00:06",
            "epoch [58/100] batch [16/16] time 0.009 (0.009) loss 2.84 lr 1.1728e-03 eta 0:00:06",
        ),
        ("  N_CTX: 4", "  N_CTX: 4"),
        ("* accuracy: 75.60%", "* accuracy: 75.60%"),
        ("/data/mine is a folder", "<path> is a folder"),
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x512 and 768x4)",) * 2,
        ("torch.nn.functional needs images", "torch.nn.functional needs images"),
        ("patient 1234567 and seed 12", "patient … and seed 12"),
        ("1.2.840.113619.2.55.3 is no image", "<path> is no image"),
        ("test.png is no image", "<path> is no image"),
        ("born at 3 T", "… at 3 T"),
        ("in scans/x1234.png and /a/b c/d 12 they differ", "in <path> … they differ"),
    ],
)
def test_what_stays(line, shown):
    assert SCRUB.line(line) == shown


def test_lines_are_as_long_as_they_are_read():
    assert len(SCRUB.line("images " * 10_000)) < 500


def test_a_frame_of_a_traceback_names_files_of_this_code_and_of_packages_alone():
    packages = Path(sysconfig.get_path("purelib"))
    for path, shown in (
        (f"/home/{MARK}/checkout/runs/run.py", "runs/run.py"),
        (f"C:\\{MARK}\\checkout\\toolbox\\dassl\\errors.py", "dassl/errors.py"),
        (f"/{MARK}/site-packages/torch/serialization.py", "torch/serialization.py"),
        (str(packages / "torch" / "serialization.py"), "torch/serialization.py"),
        (f"/{MARK}/lib/python3.11/json/decoder.py", "json/decoder.py"),
        (f"/home/{MARK}/mine.py", "<path>"),
        (f"/home/{MARK}/runs/../../{MARK}.py", "<path>"),
    ):
        assert SCRUB.line(f'  File "{path}", line 82, in build') == f'  File "{shown}", line 82, in build'


def test_words_of_a_package_stay_where_a_traceback_names_it():
    line = "TorchVersion lists a _convert_to_version"
    assert "_convert_to_version" not in SCRUB.line(line)
    log = '  File "/x/site-packages/torch/torch_version.py", line 3, in _convert_to_version'
    assert Scrub(log=log).line(line) == line


def test_names_go_though_the_code_has_their_words():
    scrub = Scrub(["images", "batch-01"])
    assert scrub.line("user Images on (batch-01): batch 2") == "user … on … batch 2"


def test_messages_of_this_code_are_still_read():
    """Most of the words of its errors stay: what is taken out of the sentences are values."""
    sentences = re.findall(r'f?"(Expected [^"{}\\]+)"', "".join(path.read_text() for path in ROOT.glob("*/*.py")))
    sentences = [each for each in sentences if not re.search(r"[/~]|local-dir|Smith", each)]
    assert len(sentences) > 10
    assert [each for each in sentences if "…" in SCRUB.line(each)] == []
    with pytest.raises(UserError) as caught:
        raise UserError("Expected a GPU for the device cuda, but there is none: leave the device out, or take cpu.")
    assert SCRUB.line(str(caught.value)) == str(caught.value)
