"""Whose sentences: model, date and instruction, in the banks and in what reads them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dassl.console import IN_NAME
from dassl.errors import UserError
from datasets import prompts
from datasets.prompts.provenance import Provenance, read_provenance
from tests.datasets.test_prompts import BANKS

GOOD = {"a": ["one a"]}
WRITTEN = {  # bank: date, first words of the instruction
    "claude": ("2026-11-24", "Give 50 textual descriptions "),
    "claude-brief": ("2026-11-28", "Give 50 short lists of visual attributes "),
}
TOLD = {"model": "Org/Model-1", "date": "2026-05-01", "instruction": "Describe [CLASS]."}


@pytest.fixture
def bank(tmp_path):
    """`bank(value)`: a file of sentences beside a user's images."""

    def write(value: object):
        (tmp_path / "prompts.json").write_text(json.dumps(value))
        return tmp_path / "prompts.json"

    return write


@pytest.mark.parametrize("path", BANKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_bank_that_comes_with_the_code_says_who_wrote_it(path):
    llm = path.parent.name
    date, opening = WRITTEN[llm]
    found = read_provenance(path.stem, llm)
    assert found == (llm, "Claude, version not recorded", date, found.instruction)
    assert found.instruction.startswith(opening) and "[CLASS]" in found.instruction
    assert found.instruction == read_provenance("btmri", llm).instruction  # the same words for every data set


def test_a_bank_is_called_by_its_folder_whatever_it_says(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "btmri.json").write_text(json.dumps({"llm": "gpt4", **TOLD, "prompts": GOOD}))
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)
    assert read_provenance("btmri", "mine") == Provenance("mine", **TOLD)


def test_sentences_beside_the_images_are_ones_own_unless_they_say_more(bank):
    assert read_provenance("x", "claude", bank({"prompts": GOOD})) == ("own", None, None, None)
    assert read_provenance("x", "claude", bank(GOOD)) == ("own", None, None, None)
    assert read_provenance("x", "claude", bank({"llm": "m", **TOLD, "prompts": GOOD})) == Provenance("m", **TOLD)


def test_a_class_may_be_called_model(bank):
    assert read_provenance("x", "claude", bank({"model": ["A ring."], "date": "A stone."})).model is None


def test_in_words():
    assert str(Provenance("gpt4", "GPT-4")) == "gpt4 (GPT-4)" and str(Provenance("own")) == "own"
    assert str(Provenance("mine", **TOLD)) == "mine (Org/Model-1, 2026-05-01)"


@pytest.mark.parametrize("key", ["llm", "model", "date", "instruction"])
@pytest.mark.parametrize("value", [3, "", ["a"], {"a": 1}, True, "a\x1b[2J", "a\nb", "W" * 2001])
def test_what_is_no_line_of_text_is_named(bank, key, value):
    path = bank({key: value, "prompts": GOOD})
    with pytest.raises(UserError) as error:
        read_provenance("x", "claude", path)
    assert f"name of a {key} in {path}" in str(error.value) and str(error.value).isprintable()


def test_an_instruction_may_be_long(bank):
    assert len(read_provenance("x", "claude", bank({"instruction": "W" * 2000, "prompts": GOOD})).instruction) == 2000
    with pytest.raises(UserError, match="up to 200 characters"):
        read_provenance("x", "claude", bank({"model": "W" * 201, "prompts": GOOD}))


@given(st.recursive(st.none() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_json_is_read_or_refused(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any.json"
    for shape in (value, {"prompts": GOOD, "model": value}):
        path.write_text(json.dumps(shape))
        try:
            found = read_provenance("x", "claude", path)
        except UserError as error:
            assert str(error).startswith("Expected ")
        else:
            assert not any(IN_NAME.search(part) for part in found if part)
