"""Settings that a document prints can be pasted: full keys and values, as KEY VALUE."""

import re
from pathlib import Path

import pytest
from yacs.config import CfgNode

from dassl.config import merge_pairs
from runs.files import defaults
from runs.spec import RunSpec

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "DATASETS.md", *sorted(ROOT.glob("docs/*.md"))]
SPAN = re.compile(r"`((?:PROTOCOL|[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)+|[A-Z]+(?:_[A-Z0-9]+)*) [^`]+)`")
OTHERS = ("KEY VALUE", "LMS IDEAL ...")  # no settings
FENCED = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
LITERAL = r"(?:-?\d[\d.e-]*|True|False)\b"


@pytest.fixture(scope="module")
def cfg() -> CfgNode:
    return defaults(RunSpec())


def spans(text: str) -> list[str]:
    """The settings in backquotes."""
    found = (re.sub(r"\s+", " ", span) for span in SPAN.findall(FENCED.sub("", text)))
    return [span for span in found if span not in OTHERS]


def words(span: str) -> list[str]:
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', span)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_settings_in_backquotes_are_taken(path, cfg):
    for span in spans(path.read_text()):
        merge_pairs(cfg.clone(), words(span), f"`{span}`")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_setting_of_a_method_is_printed_by_its_last_name(path, cfg):
    # "[" begins the settings in the name of a row, which are short.
    last = {key for node in cfg.TRAINER.values() if isinstance(node, CfgNode) for key in node}
    short = re.compile(rf"(?<![.\w\[])(?:{'|'.join(sorted(last))}) {LITERAL}")
    assert not short.findall(path.read_text())


def test_both_find_what_they_look_for():
    text = (
        "a `TRAINER.VMFCOOP.LAMBDA_SC 20\n  TRAINER.VMFCOOP.TAU_MAX 40` and `PREC tf32`, `PROTOCOL best`, `KEY VALUE`"
    )
    assert spans(text) == [
        "TRAINER.VMFCOOP.LAMBDA_SC 20 TRAINER.VMFCOOP.TAU_MAX 40",
        "PREC tf32",
        "PROTOCOL best",
    ]
    assert sum(len(spans(path.read_text())) for path in DOCUMENTS) > 20
