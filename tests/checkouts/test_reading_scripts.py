"""What a shell script runs is read from its text, and nothing of it is run."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkouts.scripts import Call, read_calls, solve, substitute


def words(text: str) -> list[str]:
    """The first flag's value of each call, as `train.py --config-file <word>` has it."""
    return [call.flags["--config-file"] for call in read_calls(text)]


CALL = "python train.py --config-file ${CFG}.yaml"


@pytest.mark.parametrize(
    ("before", "word"),
    [
        ("CFG=vit", "vit"),
        ("CFG='vit b'  # with a space", "vit b"),
        ('export CFG="vit"; DATA=$1', "vit"),
        ("CFG=rn50\nCFG=vit", "vit"),
        ("M=CoOp\nCFG=$M/${M}_vit", "CoOp/CoOp_vit"),
        ("M=CoOp CFG=$M/vit", "CoOp/vit"),
        ("CFG=vit\nCFG+=_b16", "vit_b16"),
        ("CFG=${2:-vit}", "${2:-vit}"),
        ("CFG=$4", "${4}"),
        ("DATA=$1\nshift\nCFG=$1", "${2}"),
        ("CFG=$(ls configs | head -1)", "${_}"),
        ("CFG=`cat name`", "${_}"),
        ("if [ $1 = a ]; then\nCFG=vit\nelse\nCFG=rn50\nfi", "${CFG}"),
        ("CFG=vit\nif [ $1 = a ]; then CFG=vit; fi", "vit"),
        ("CFG=vit\ncase $1 in\na) CFG=rn50;;\nesac", "${CFG}"),
        ("if [ -d x ]; then echo 'it is there (done)'; fi\nCFG=vit", "vit"),
        ("CFG=vit\nfor CFG in a b", "${CFG}"),
        ("for CFG in vit; do", "vit"),
        ("# CFG=vit", "${CFG}"),
        ("echo 'an open quote\nCFG=vit", "vit"),
    ],
)
def test_a_variable_has_the_value_that_the_script_gives_it(before, word):
    assert words(f"{before}\n{CALL}\n") == [f"{word}.yaml"]


@pytest.mark.parametrize(
    "line",
    [
        "python train.py --config-file a.yaml --eval-only A.B 1 A.C x",
        "CUDA_VISIBLE_DEVICES=0 python3 -u ./train.py --config-file=a.yaml --eval-only A.B 1 A.C x > log.txt 2>&1 &",
        "if [ -d $DIR ]; then echo; else python train.py --config-file a.yaml \\\n\t--eval-only A.B 1 A.C 'x'; fi",
        "python train.py \\\r\n--config-file a.yaml \\\r\n--eval-only \\\r\nA.B 1 A.C x # the last\r",
        "torchrun --nproc 1 train.py --config-file a.yaml --eval-only A.B 1 A.C x; echo python train.py --root y",
    ],
)
def test_a_call_is_found_however_it_is_written(line):
    flags = {"--config-file": "a.yaml", "--eval-only": ""}
    assert read_calls(line) == [Call(flags, (("A.B", "1"), ("A.C", "x")))]


def test_words_that_are_no_pairs_are_kept():
    (call,) = read_calls("python train.py --transforms a b A.B 1 $@ C.D")
    assert call == Call({"--transforms": "a b"}, (("A.B", "1"),), ("$@", "C.D"))


def test_values_that_are_solved_are_put_everywhere_and_defaults_last():
    (call,) = read_calls("python train.py --trainer CoOp_${4:-CLIP} --root $1 A.B ${3:-16} A.C ${4:-CLIP} $5")
    assert call.with_values({"4": "BiomedCLIP"}) == Call(
        {"--trainer": "CoOp_BiomedCLIP", "--root": "${1}"}, (("A.B", "16"), ("A.C", "BiomedCLIP")), ("${5}",)
    )


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ({"CoOp": "CoOp"}, {}),
        ({"CoOp": "KgCoOp"}, None),
        ({"${A}_${A}": "x_x"}, {"A": "x"}),
        ({"${A}_${A}": "x_y"}, None),
        ({"${A}.${B}": "x.y"}, {"A": "x", "B": "y"}),
        ({"C.Op_$4": "CoOp_x"}, None),  # a point is a point
        ({"${A}": "x", "${A}${B}": "xy"}, {"A": "x", "B": "y"}),
        ({"${A}": ""}, None),
    ],
)
def test_variables_are_solved(wanted, values):
    assert solve(wanted) == values


NAME = st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True)
VALUE = st.from_regex(r"[a-z0-9_./+-]{1,8}", fullmatch=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash to compare with")
@settings(max_examples=20)  # each starts a process
@given(st.dictionaries(NAME, VALUE, min_size=1, max_size=4), VALUE)
def test_bash_gives_variables_the_same_values(values, default):
    names = list(values)
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    text += f"ALL_={'_'.join(f'${{{name}}}' for name in names)}/${{NONE_:-{default}}}\n"
    (call,) = read_calls(f"{text}python train.py --root ${{ALL_}}")
    said = subprocess.run(["bash", "-c", f"{text}echo ${{ALL_}}"], capture_output=True, text=True, check=True, env={})
    assert substitute(call.flags["--root"], {}, defaults=True) == said.stdout.strip()


def test_nothing_is_run(tmp_path):
    mark = tmp_path / "mark"
    read_calls(f"touch {mark}\nX=$(touch {mark})\nY=`touch {mark}`\npython train.py --root $(touch {mark}) A.B 1\n")
    assert not mark.exists()


@given(st.text(alphabet="ab=$_{}()'\"\\\n\t ;&|<>#`1ABpython train.py-:.", max_size=60))
def test_any_text_can_be_read(text):
    assert all(isinstance(call, Call) for call in read_calls(text + "\npython train.py --root x"))
