"""BiomedCoOp's sentences become a bank without a line of its code being run."""

import json
import warnings

import pytest

from datasets import prompts
from datasets.btmri import BTMRI
from datasets.busi import BUSI
from datasets.prompts import import_biomedcoop, load_prompts
from datasets.prompts.provenance import read_provenance

SENTENCES = {name: [f"{name} {i}" for i in range(3)] for name in (*BTMRI.classes, *BUSI.classes, "platelet")}
SENTENCES["meningioma tumor"][2] = "meningioma tumor 0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(prompts, "FOLDER", tmp_path / "prompts")
    return tmp_path / "prompts" / "gpt4"


@pytest.fixture
def checkout(tmp_path):
    """`checkout(text)` makes a checkout whose file of sentences is `text`."""

    def make(text: str):
        path = tmp_path / "BiomedCoOp" / "trainers" / "prompt_templates.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path.parent.parent

    return make


def python(templates: object) -> str:
    lines = ["import no_such_module", "A, B = 1, 2", f"BIOMEDCOOP_TEMPLATES = {templates!r}", "raise SystemExit"]
    return "\n".join(lines)


def run(checkout) -> int:
    return import_biomedcoop.main([str(checkout)])


def test_a_bank_for_each_data_set_whose_classes_are_there(folder, checkout, capsys):
    assert run(checkout(python(SENTENCES))) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["btmri.json", "busi.json"]
    bank = json.loads((folder / "btmri.json").read_text())
    assert bank["llm"] == "gpt4" and bank["dataset"] == "BTMRI"
    assert read_provenance("btmri", "gpt4") == ("gpt4", "GPT-4", None, None)  # neither date nor instruction is known
    assert bank["source"]["file"] == "BiomedCoOp/trainers/prompt_templates.py" and len(bank["source"]["sha256"]) == 64
    assert list(bank["prompts"].items()) == [(name, SENTENCES[name]) for name in BTMRI.classes]
    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["btmri"] == f"{folder / 'btmri.json'}; repeats: meningioma tumor has 2 different of 3"
    assert told["busi"] == str(folder / "busi.json")
    assert told["covid"] == 'left out, "covid lungs" is not among their classes' and len(told) == 14


def test_runs_read_it_and_are_warned_of_repeats(folder, checkout):
    run(checkout(python(SENTENCES)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_prompts("btmri", "gpt4", BTMRI.classes, 2)[0] == ["glioma tumor 0", "glioma tumor 1"]
    with pytest.warns(UserWarning, match='1 of the 3 prompts for "meningioma tumor"'):
        load_prompts("btmri", "gpt4", BTMRI.classes, 3)
    with pytest.raises(ValueError, match="set N_PROMPTS to at most 3"):
        load_prompts("btmri", "gpt4", BTMRI.classes, 50)


def test_again_changes_nothing_but_another_bank_is_not_overwritten(folder, checkout, capsys):
    path = checkout(python(SENTENCES))
    assert run(path) == 0
    before = (folder / "btmri.json").read_bytes()
    assert run(path) == 0 and (folder / "btmri.json").read_bytes() == before
    earlier = {key: value for key, value in json.loads(before).items() if key != "model"}
    (folder / "btmri.json").write_text(json.dumps(earlier))
    assert run(path) == 0 and (folder / "btmri.json").read_bytes() == before
    mine = {**json.loads(before), "prompts": {"glioma tumor": ["mine"]}}
    (folder / "btmri.json").write_text(json.dumps(mine))
    capsys.readouterr()
    assert run(path) == 1
    assert f"{folder / 'btmri.json'}, but it has another: move it away" in capsys.readouterr().err
    assert json.loads((folder / "btmri.json").read_text()) == mine


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("CUSTOM_TEMPLATES = {}", "it assigns no such name"),
        ("BIOMEDCOOP_TEMPLATES = {'a': [open('/etc/passwd').read()]}", "it is not plain data"),
        ("BIOMEDCOOP_TEMPLATES = {**OTHER}", "it is not plain data"),
        ("BIOMEDCOOP_TEMPLATES = {[]: []}", "it is not plain data"),
        ("BIOMEDCOOP_TEMPLATES = {", "it is not plain data"),
        ("BIOMEDCOOP_TEMPLATES = " + "[" * 9999, "it is not plain data"),
        ("BIOMEDCOOP_TEMPLATES = ['a']", "it holds something else"),
        ("BIOMEDCOOP_TEMPLATES = {'a': 'sentence'}", "it holds something else"),
        ("BIOMEDCOOP_TEMPLATES = {'a': [1]}", "it holds something else"),
    ],
    ids=lambda text: text[:60],
)
def test_a_file_of_another_form(folder, checkout, capsys, text, why):
    path = checkout(text)
    assert run(path) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: Expected BIOMEDCOOP_TEMPLATES = {class: [sentence, ...]} in ") and why in told
    assert str(path / "trainers" / "prompt_templates.py") in told and told.count("\n") == 1
    assert not folder.exists()


def test_no_checkout(folder, tmp_path, capsys):
    assert run(tmp_path) == 1
    told = capsys.readouterr().err
    assert f"no {tmp_path / 'trainers' / 'prompt_templates.py'}: give the root of its checkout" in told
