"""Sentences of a model, banks and templates of others: what reaches a terminal, a tokenizer or a path."""

import json
import os
import random
import re
import string
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datasets import prompts
from datasets.prompts import answers, generate, load_prompts, shapes
from tests.datasets.asking import ask_for, bank, lines, serving_api
from trainers.base.text_features import template_features

MARK = "s3cr3t-w0rd"


@pytest.fixture
def api(tmp_path, monkeypatch):
    with serving_api(monkeypatch, tmp_path / "banks") as api:
        yield api


# -------------------------------------------------------------------------------------------------- what is not printed


@pytest.mark.parametrize("status", [401, 404, 500])
@pytest.mark.parametrize("where", ["flag", "environment"])
def test_no_password_of_an_address_is_printed(api, monkeypatch, capsys, status, where):
    """Nor where the server repeats it."""
    openai = pytest.importorskip("openai")
    monkeypatch.setattr(openai, "OpenAI", lambda max_retries, make=openai.OpenAI, **kw: make(max_retries=0, **kw))
    url = api.url.replace("http://", f"http://user:{MARK}@")
    monkeypatch.setenv("OPENAI_API_KEY", f"key-{MARK}")
    api.script = [{"status": status, "message": f"no entry for user:{MARK}@ with key-{MARK}"}] * 20
    if where == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    more = ["--base-url", url] if where == "flag" else []
    assert generate.main(["--dataset", "btmri", "--model", "Org/Model-1", *more]) == 1
    printed = capsys.readouterr()
    assert MARK not in printed.out + printed.err and f"from {api.url}" in printed.err


@given(st.text(string.ascii_letters + string.digits + "%-._~!$&'()*+,;=:", min_size=1))
def test_an_address_without_secrets(user):
    told, secrets = generate.without_secrets(f"https://{user}@host:8000/v1?key={MARK}#{MARK}")
    assert told == "https://host:8000/v1" and user in secrets and f"key={MARK}" in secrets


# ------------------------------------------------------------------------------------------------- sentences of a model

HOSTILE = [
    "A glioma tumor \x1b]52;c;ZXZpbA==\x07 that sets the clipboard.",
    "A glioma tumor \x1b[2J that clears the screen.",
    "A glioma tumor \u202egnorw si taht\u202c.",
    "A glioma tumor with a zero\u200bwidth space.",
    "A glioma tumor with a \x00 and a \x7f in it.",
    "A glioma tumor with \x9b2J in it.",
    "A glioma tumor \ufeffmarked\u2028and parted.",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_control_character_reaches_a_bank(api, text, tmp_path, capsys):
    api.script = [{"text": f"{text}\n{lines('glioma tumor', 1, 3)}"}]
    assert ask_for(api) == 0
    found = bank(tmp_path / "banks")["prompts"]
    assert all(sentence.isprintable() for texts in found.values() for sentence in texts)
    printed = capsys.readouterr()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", printed.out)


@pytest.mark.parametrize(
    "text",
    [
        "A glioma tumor that is " + "very " * 150 + "long.",
        "A glioma tumor called " + "a" * 101 + " by some.",
        "A glioma tumor called " + "a" * 500_000 + " by some.",
        "A glioma tumor with \ue000 private characters.",
    ],
)
def test_what_no_tokenizer_should_get_is_left_out_counted_and_asked_for_again(api, tmp_path, capsys, text):
    api.script = [{"text": f"{text}\n{lines('glioma tumor', 101, 103)}"}]
    assert ask_for(api) == 0
    texts = bank(tmp_path / "banks")["prompts"]["glioma tumor"]
    assert len(texts) == 4 and all(len(sentence) <= answers.LONGEST == 600 for sentence in texts)
    assert api.questions[1].startswith("Give 1 textual")
    told = capsys.readouterr().out
    if "very " * 17 not in text:  # that many words are no sentence, as before
        assert "glioma tumor: 1 of 4 sentences are left out: longer than 600 characters" in told


def test_an_answer_without_end_is_cut_and_told(api, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(generate, "LONGEST_ANSWER", 1000)
    api.script = [{"text": lines("glioma tumor", 1, 4) + "\n" + "A word. " * 1000}]
    assert ask_for(api) == 0
    assert "characters is looked at up to 1,000" in capsys.readouterr().out


@given(st.text())
def test_whatever_is_answered(text):
    for sentence in answers.keep_usable(answers.find_sentences(text)):
        assert sentence.isprintable() and len(sentence) <= 600 and not shapes.why_not(sentence)


# ----------------------------------------------------------------------------------------------------- where it writes


@pytest.mark.parametrize("flag", ["--model", "--llm"])
@pytest.mark.parametrize("name", ["..", ".", "../../evil", "/tmp/evil", "a/../../..", "~", "", "\x00", "x" * 400])
def test_no_name_of_a_model_leads_out_of_the_banks(api, tmp_path, flag, name):
    before = set(Path("/tmp").glob("evil*"))
    api.model = name if flag == "--model" else "Org/Model-1"
    names = ["--model", api.model, *(["--llm", name] if flag == "--llm" else [])]
    generate.main(["--dataset", "btmri", "--base-url", api.url, "--n", "1", *names])
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.parent.parent == tmp_path / "banks" and path.name == "btmri.json" for path in written)
    assert set(Path("/tmp").glob("evil*")) == before
    assert prompts.bank_path(name, name).parent.parent == tmp_path / "banks"


# --------------------------------------------------------------------------------------------------- banks of others

GOOD = {"a": ["one a", "two a"], "b": ["one b", "two b"]}


def load(tmp_path, value, n=2):
    path = tmp_path / "prompts.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return load_prompts("mine", "me", ["a", "b"], n, bank=path)


@pytest.mark.parametrize(
    ("value", "n"),
    [
        ({"prompts": GOOD}, 2),
        ({"llm": "me", "prompts": GOOD, "date": "2026"}, 2),
        (GOOD, 2),
        (GOOD | {"more": ["three"]}, 2),
        ({"prompts": {"a": "one a", "b": "one b"}}, 1),
        ({"a": "one a", "b": ["one b"]}, 1),
        (GOOD | {"prompts": ["a class of this name"]}, 2),
    ],
)
def test_shapes_that_are_read(tmp_path, value, n):
    assert load(tmp_path, value, n) == [texts[:n] for texts in GOOD.values()]


@pytest.mark.parametrize("wrap", [lambda held: {"prompts": held}, lambda held: held], ids=["nested", "bare"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "null"),
        (7, "7"),
        ("one sentence", "2 prompts for"),
        ([], "2 prompts for"),
        (["one"], "2 prompts for"),
        ({"0": "one", "1": "two"}, "an object with the keys 0, 1"),
        ([1, 2], "is 1"),
        ([["one"], ["two"]], "is a list that begins with one"),
        ([{"text": "one"}, "two"], "is an object with the keys text"),
        (["one", None], "number 2 of"),
        (["one", ""], "is empty"),
        (["one", " \t "], "is empty"),
        (["one", "\x1b[2J two"], "holds the control character \\x1b"),
        (["one", "\ud800 two"], "holds the control character"),
        (["one", "a" * 101], "has a word of 101 letters"),
        (["one", "a " * 1001], "has 2002 characters"),
        (True, "True"),
    ],
)
def test_shapes_that_are_refused_in_one_sentence(tmp_path, wrap, value, why):
    with pytest.raises(ValueError) as error:
        load(tmp_path, wrap(GOOD | {"b": value}))
    said = str(error.value)
    assert said.startswith("Expected ") and str(tmp_path / "prompts.json") in said and why in said
    assert '"b"' in said and said.isprintable()


@pytest.mark.parametrize(
    "value", [["a", "b"], "text", 7, None, {"prompts": 7}, {"prompts": None}, {}, {"prompts": {}}, "{", "[" * 100_000]
)
def test_files_that_are_no_bank(tmp_path, value):
    with pytest.raises(ValueError, match=r"^Expected .*prompts\.json"):
        load(tmp_path, value if value in ("{", "[" * 100_000) else json.dumps(value))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_read_or_refused(tmp_path_factory, value):
    folder = tmp_path_factory.getbasetemp()
    for shape in (value, {"prompts": value}, {"a": value, "b": value}):
        try:
            found = load(folder, json.dumps(shape), 1)
        except ValueError as error:
            assert str(error).startswith("Expected ")
        else:
            assert all(isinstance(text, str) and text.strip() for texts in found for text in texts)


def test_a_bank_that_is_no_file_is_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "banks.json")
    with pytest.raises(ValueError, match="there are none"):
        load_prompts("mine", "me", ["a"], 1, bank=tmp_path / "banks.json")


def test_words_are_short_enough_for_a_tokenizer_that_takes_time_by_their_square():
    """CLIP's own: the longest sentence that passes takes no time that anyone notices."""
    tokenizer = pytest.importorskip("open_clip.tokenizer").SimpleTokenizer()
    chance = random.Random(0)
    text = " ".join("".join(chance.choices(string.ascii_lowercase, k=shapes.LONGEST_WORD)) for _ in range(19))
    assert not shapes.why_not(text) and shapes.why_not(text.replace(" ", ""))
    assert tokenizer(text).shape == (1, tokenizer.context_length)


# ------------------------------------------------------------------------------------------------------------ templates


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("a photo of a {}.", "a photo of a glioma tumor."),
        ("{}, or {}", "glioma tumor, or glioma tumor"),
        ("{0.__class__.__mro__} {}", "{0.__class__.__mro__} glioma tumor"),
        ("{:>2000000000} {}", "{:>2000000000} glioma tumor"),
        ("{{}} {x}", "{glioma tumor} {x}"),
    ],
)
def test_a_template_is_filled_and_never_formatted(template, found):
    seen = []
    store = SimpleNamespace(texts=lambda texts: seen.extend(texts) or torch.zeros(len(texts), 2))
    template_features(SimpleNamespace(store=store, device="cpu"), ["glioma_tumor"], template)
    assert seen == [found]
    with pytest.raises(ValueError, match=r"Expected \{\} for the class name .*TEMPLATE.* but got 'a photo'"):
        template_features(SimpleNamespace(store=store, device="cpu"), ["glioma_tumor"], "a photo")
