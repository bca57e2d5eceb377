"""Prompt banks: those that come with the code, and the loader."""

import json
import warnings
from pathlib import Path

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from dassl.errors import UserError
from datasets import prompts
from datasets.prompts import load_prompts

OURS = ("claude", "claude-brief")  # banks that come with the code; users have others beside them
BANKS = sorted(path for llm in OURS for path in (prompts.FOLDER / llm).glob("*.json"))
BY_KEY = {
    cls.__module__.rsplit(".", 1)[-1]: cls
    for cls in map(DATASET_REGISTRY.get, DATASET_REGISTRY.registered_names())
    if cls.__module__.startswith("datasets.")
}


@pytest.fixture
def bank(tmp_path) -> Path:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"prompts": {"a": ["a0", "a1", "a2"], "b": ["b0", "b1", "b0"], "c": ["c0"]}}))
    return path


@pytest.mark.parametrize("llm", OURS)
def test_there_are_banks(llm):
    assert {"btmri", "chmnist", "covid"} <= {path.stem for path in BANKS if path.parent.name == llm}


@pytest.mark.parametrize("path", BANKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_committed_bank_has_50_different_sentences_for_each_class_and_no_other(path):
    cls, found = BY_KEY[path.stem], json.loads(path.read_text(encoding="utf-8"))
    assert list(found["prompts"]) == list(cls.classes)
    assert found["dataset"] == cls.__name__ and found["llm"] == path.parent.name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sentences = load_prompts(path.stem, path.parent.name, cls.classes, 50)
    for name, mine in zip(cls.classes, sentences, strict=True):
        assert mine == found["prompts"][name] and len(set(mine)) == 50, name
        assert all(text == text.strip() and len(text.split()) > 3 for text in mine), name


@pytest.mark.parametrize("path", [path for path in BANKS if path.parent.name == "claude-brief"], ids=lambda p: p.stem)
def test_a_brief_bank_lists_attributes_in_few_words_and_no_sentence_of_the_other_bank(path):
    full, brief = (json.loads((prompts.FOLDER / llm / path.name).read_text())["prompts"] for llm in OURS)
    for name, texts in brief.items():
        assert not {text.lower().rstrip(".") for text in full[name]} & {text.lower() for text in texts}
        for text in texts:
            assert 6 <= len(text.split()) <= 14 and "," in text and text.isascii() and text[-1].isalnum(), text


def test_the_first_n_in_the_order_of_the_classes_asked_for(bank):
    assert load_prompts("mine", "me", ["b", "a"], 2, bank=bank) == [["b0", "b1"], ["a0", "a1"]]
    assert load_prompts("mine", "me", ["c"], 1, bank=str(bank)) == [["c0"]]


def test_a_bank_is_found_by_llm_and_data_set(bank, monkeypatch):
    folder = bank.parent / "me"
    folder.mkdir()
    bank.rename(folder / "mine.json")
    monkeypatch.setattr(prompts, "FOLDER", bank.parent)
    assert load_prompts("mine", "me", ["a"], 3) == [["a0", "a1", "a2"]]
    with pytest.raises(UserError, match=r'by "claude" for mine in .*claude/mine\.json, .*; the banks are: me/m'):
        load_prompts("mine", "claude", ["a"], 3)


def test_repeats_are_told_with_their_number(bank):
    with pytest.warns(UserWarning, match=r'1 of the 3 prompts for "b" in .* are repeats'):
        assert load_prompts("mine", "me", ["b"], 3, bank=bank) == [["b0", "b1", "b0"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_prompts("mine", "me", ["b"], 2, bank=bank)


@pytest.mark.parametrize(
    ("classes", "n", "sentence"),
    [
        (["a", "d"], 1, r'prompts for "d" in .*prompts\.json, but it has only those for a, b, c'),
        (["a", "c"], 2, r'2 prompts for "c" in .* has 1: set N_PROMPTS to at most 1'),
        (["a", "b"], 4, r'4 prompts for "a" in .* has 3: set N_PROMPTS to at most 3'),
    ],
)
def test_a_bank_that_lacks_something(bank, classes, n, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_prompts("mine", "me", classes, n, bank=bank)


@pytest.mark.parametrize(
    ("text", "sentence"), [('{"b": ["b0"]}', "it has only those for b"), ("{", "Expected JSON in")]
)
def test_a_file_that_is_no_bank_is_named(bank, text, sentence):
    bank.write_text(text)
    with pytest.raises(ValueError, match=sentence) as error:
        load_prompts("mine", "me", ["a"], 1, bank=bank)
    assert str(bank) in str(error.value)


def test_no_such_bank_lists_those_of_the_data_set():
    banks = "claude-brief/btmri, claude/btmri"
    with pytest.raises(UserError, match=rf"the banks are: {banks}\. Choose one of them \(PROMPTS\.LLM\)"):
        load_prompts("btmri", "nobody", ["a"], 1)
    with pytest.raises(UserError, match=r"there are none: write yours there; `python -m datasets\.prompts\.generate"):
        load_prompts("chest", "claude", ["a"], 1)
