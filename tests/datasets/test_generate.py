"""Ask a chat model for a bank, with all that can go wrong at its server."""

import json
import sys
import warnings
from datetime import date

import pytest

from datasets import prompts
from datasets.btmri import BTMRI
from datasets.catalogue import by_key
from datasets.cmri import CMRI
from datasets.folder import FolderDataset
from datasets.lmri import LMRI
from datasets.prompts import generate, load_prompts
from datasets.prompts.answers import find_sentences, keep_new
from datasets.prompts.provenance import read_provenance
from tests.datasets.asking import N, bank, lines, serving_api
from tests.datasets.asking import ask_for as run
from tests.datasets.layout import load


@pytest.fixture
def api(tmp_path, monkeypatch):
    with serving_api(monkeypatch, tmp_path) as api:
        yield api


def said(capsys) -> str:
    """What stood on stderr: one sentence."""
    text = capsys.readouterr().err
    assert text.startswith("error: Expected ") and text.count("\n") == 1
    return text


def test_a_bank_with_its_provenance(api, tmp_path):
    assert run(api) == 0
    found = bank(tmp_path)
    assert list(found.pop("prompts").items()) == [
        (name, [f"A {name} that looks like number {i}." for i in range(4 * label + 1, 4 * label + 5)])
        for label, name in enumerate(BTMRI.classes)
    ]
    assert found == {
        "llm": "Org-Model-1",
        "dataset": "BTMRI",
        "modality": "MRI of the brain",
        "model": "Org/Model-1",
        "answered_by": ["model-1-of-may"],
        "instruction": "Give 4 textual descriptions of visual discriminative features for distinct medical cases of "
        "[CLASS] found in [MODALITY].",
        "form": generate.FORM,
        "date": date.today().isoformat(),
    }
    assert api.questions[1] == (
        "Give 4 textual descriptions of visual discriminative features for distinct medical cases of meningioma tumor "
        f"found in MRI of the brain. {generate.FORM}"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            load_prompts("btmri", "Org-Model-1", BTMRI.classes, N)[0][3] == "A glioma tumor that looks like number 4."
        )
    with pytest.raises(ValueError, match="set N_PROMPTS to at most 4"):
        load_prompts("btmri", "Org-Model-1", BTMRI.classes, 50)


def test_everything_that_goes_wrong_once_is_made_good(api, tmp_path, capsys):
    api.script = [
        {"text": lines("glioma tumor", 1, 3) + " But in the mid", "finish": "length"},  # half an answer
        {"hang up": True},
        {"text": lines("glioma tumor", 1, 2)},  # nothing new
        {"bytes": 150},
        {"text": None, "refusal": "I am sorry, but I cannot help with medical images."},
        {"text": "1. A Glioma tumor, that looks like number 2!\n2. A glioma tumor seen for the first time."},
        {"status": 500},
        {"status": 429},
        {"choices": []},
        {"text": "Here are 3 descriptions of glioma tumor:\n\n" + lines("glioma tumor", 1, 9)},
    ]
    assert run(api) == 0
    assert api.script == []
    assert bank(tmp_path)["prompts"]["glioma tumor"] == [
        "A glioma tumor that looks like number 1.",
        "A glioma tumor that looks like number 2.",
        "A glioma tumor seen for the first time.",
        "A glioma tumor that looks like number 3.",
    ]
    assert {name: len(texts) for name, texts in bank(tmp_path)["prompts"].items()} == dict.fromkeys(BTMRI.classes, N)
    *first, last = api.questions[:10]
    assert first[1] == first[2] and first[1].startswith("Give 2 ")  # the client repeats the question
    assert last.startswith("Give 1 ")
    assert last.splitlines()[1:] == [generate.AGAIN, *bank(tmp_path)["prompts"]["glioma tumor"][:3]]
    told = [int(line[14]) for line in capsys.readouterr().out.splitlines() if line.startswith("glioma tumor")]
    assert told == [2, 2, 2, 3, 3, 4]


def test_an_answer_that_takes_too_long_is_asked_for_again(api, tmp_path):
    api.script = [{"sleep": 1.5}]
    assert run(api, "--timeout", "1") == 0
    assert [len(texts) for texts in bank(tmp_path)["prompts"].values()] == [N] * 4
    assert api.questions[0] == api.questions[1] and len(api.questions) >= 5


def test_a_sentence_of_another_class_does_not_count(api, tmp_path):
    api.script = [{}, {"text": lines("glioma tumor", 1, 4)}]
    assert run(api) == 0
    assert bank(tmp_path)["prompts"]["meningioma tumor"][0] == "A meningioma tumor that looks like number 5."


def test_a_class_that_is_refused_is_named_and_asked_for_again_next_time(api, tmp_path, capsys):
    no = {"text": "I'm sorry, but I can't describe that.\nPlease see a doctor."}
    api.script = [{}, {"text": lines("meningioma tumor", 1, 3)}, *[no] * generate.PATIENCE]
    assert run(api) == 1
    text = said(capsys)
    assert (
        'Expected 4 different sentences of each class, but got 3 of "meningioma tumor" (last answer: "I\'m sorry, '
        in (text)
    )
    assert str(tmp_path / "Org-Model-1" / "btmri.json") in text
    assert [len(texts) for texts in bank(tmp_path)["prompts"].values()] == [4, 3, 4, 4]
    asked, before = len(api.questions), bank(tmp_path)["prompts"]
    assert run(api) == 0
    assert len(api.questions) == asked + 1 and "Give 1 textual" in api.questions[-1]
    after = bank(tmp_path)["prompts"]
    assert after.pop("meningioma tumor")[:3] == before.pop("meningioma tumor") and after == before


def test_what_was_answered_before_an_error_is_kept(api, tmp_path, capsys):
    api.script = [{}, {}, {"status": 401, "message": "Incorrect key\nfor this project"}]
    assert run(api) == 1
    text = said(capsys)
    assert f"answer of Org/Model-1 from {api.url}" in text and "Incorrect key" in text and "OPENAI_API_KEY" in text
    assert list(bank(tmp_path)["prompts"]) == ["glioma tumor", "meningioma tumor"]
    assert run(api) == 0
    assert list(bank(tmp_path)["prompts"]) == list(BTMRI.classes) and len(api.questions) == 5


def test_more_sentences_later(api, tmp_path):
    assert run(api) == 0 and run(api, n=6) == 0
    assert [len(texts) for texts in bank(tmp_path)["prompts"].values()] == [6] * 4
    assert len(api.questions) == 8 and bank(tmp_path)["instruction"].startswith("Give 6 ")
    assert run(api) == 0 and len(api.questions) == 8  # has more than is asked for


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>log in first</html>", "text/html"),
        (b'{"choices": [', "application/json"),
        (b"{}", "application/json"),
        (b"[1]", "application/json"),
        (b'{"choices": [{"message": null}]}', "application/json"),
    ],
)
def test_what_is_no_answer_of_the_api(api, tmp_path, capsys, body, kind):
    api.script = [{"body": body, "type": kind}] * 4 * generate.PATIENCE
    assert run(api) == 1
    assert 'got 0 of "glioma tumor" (last answer: "")' in said(capsys)
    assert not (tmp_path / "Org-Model-1").exists()


def test_no_server(api, tmp_path, capsys, monkeypatch):
    openai = pytest.importorskip("openai")
    monkeypatch.setattr(openai, "OpenAI", lambda max_retries, make=openai.OpenAI, **kw: make(max_retries=0, **kw))
    line = ["--dataset", "btmri", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"]
    assert generate.main(line) == 1
    assert "from http://127.0.0.1:9/v1" in said(capsys)


@pytest.mark.parametrize(
    "found", [{"prompts": {"glioma tumor": ["mine"]}}, {"model": "Org/Model-1", "prompts": {"a": []}}]
)
def test_a_bank_by_someone_else_is_left_alone(api, tmp_path, capsys, found):
    path = tmp_path / "mine" / "btmri.json"
    path.parent.mkdir()
    path.write_text(json.dumps(found))
    assert run(api, "--llm", "mine") == 1
    text = said(capsys)
    assert str(path) in text and "choose another folder by --llm" in text
    assert json.loads(path.read_text()) == found and api.questions == []


def test_no_key(api, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert generate.main(["--dataset", "btmri", "--model", "m"]) == 1
    assert "environment variable OPENAI_API_KEY, but there is none" in said(capsys)
    assert run(api) == 0  # a server named by its address may need none


def test_no_client(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)
    monkeypatch.setitem(sys.modules, "openai", None)
    assert generate.main(["--dataset", "btmri", "--model", "m"]) == 1
    assert "pip install 'openai>=1.30'" in said(capsys)


def test_an_unknown_data_set_is_told_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        generate.main(["--dataset", "brains", "--model", "m"])
    assert "btmri" in capsys.readouterr().err


def test_no_sentences_at_all(capsys):
    with pytest.raises(SystemExit):
        generate.main(["--dataset", "btmri", "--model", "m", "--n", "0"])
    assert "expected --n of at least 1, but got 0" in capsys.readouterr().err


def test_every_data_set_has_words_for_its_images():
    words = {key: generate.describe_modality(cls) for key, cls in by_key().items()}
    assert len(words) == 14 and "folder" not in words
    assert words["covid"] == "X-ray of the chest" and words["octmnist"] == "OCT of the retina"
    assert (
        generate.describe_modality(CMRI) == "cardiac cine MRI of the heart"
        and generate.describe_modality(LMRI) == "liver MRI"
    )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("1. A bright ring of tissue.", ["A bright ring of tissue."]),
        ("1.A bright ring of tissue.", ["A bright ring of tissue."]),
        ("(12) A bright ring of tissue.", ["A bright ring of tissue."]),
        ("  - **Ring**: bright on T2 images", ["Ring: bright on T2 images"]),
        (
            '["A bright ring of tissue.",\n "A dark ring of tissue."]',
            ["A bright ring of tissue.", "A dark ring of tissue."],
        ),
        ('1. "A bright ring of tissue."', ["A bright ring of tissue."]),
        ("3.5 cm mass in the cortex", ["3.5 cm mass in the cortex"]),
        ("5-year-old scar in the cortex", ["5-year-old scar in the cortex"]),
        ("A  bright\tring of “white” matter.", ["A bright ring of “white” matter."]),
        ("# Signs of the glioma tumor\nThese are the typical signs:\n---\nRing enhancement", []),
        ("Sure! Here are 50 descriptions.\nI hope that this helps you.\nI'm happy to write more.", []),
        ("I cannot provide medical advice here.\nAs an AI, I must not.\nSorry, that is not possible.", []),
        ("I'm sorry, but I can't describe that.\nPlease see a doctor.", []),
        ("<think>A bright ring of tissue.\nHm.</think>A dark ring of tissue.", ["A dark ring of tissue."]),
        ("<think>A bright ring of tissue.\nHm, that is", []),
        ("word " * 80, [("word " * 80).strip()]),
        ("word " * 81, []),
        ("", []),
    ],
)
def test_sentences_of_an_answer(answer, found):
    assert find_sentences(answer) == found


def test_the_last_line_of_an_answer_that_was_cut():
    assert find_sentences("A bright ring of tissue.\nA dark ring of", cut=True) == ["A bright ring of tissue."]
    assert find_sentences("A bright ring of", cut=True) == []


def test_different_in_more_than_case_and_punctuation():
    assert keep_new(["A ring.", "a  RING", "Two rings", "A ring of T2"], ["two rings!"]) == ["A ring.", "A ring of T2"]


@pytest.mark.parametrize("given", [True, False], ids=["with parts", "without"])
def test_a_folder_of_images_gets_its_own_bank(api, tmp_path, given):
    """Which a run of `folder` reads."""
    for part in ("train", "val", "test") if given else ("",):
        for name in ("lung_cancer", "normal"):
            (tmp_path / "chest" / part / name).mkdir(parents=True)
            for i in range(4):
                (tmp_path / "chest" / part / name / f"{i}.png").touch()
    more = ["--modality", "X-ray of the chest", "--model", "Org/Model-1", "--base-url", api.url, "--n", "2"]
    assert generate.main(["--folder", str(tmp_path / "chest"), *more]) == 0
    assert (
        api.questions[0].startswith("Give 2 textual")
        and "of lung cancer found in X-ray of the chest." in api.questions[0]
    )
    assert not list((tmp_path / "chest").glob("split_*")), "patients may not be known yet"
    assert read_provenance("x", "x", tmp_path / "chest" / "prompts.json")[:2] == ("Org-Model-1", "Org/Model-1")
    data = load(tmp_path / "chest", FolderDataset)
    sentences = load_prompts(data.key, "anyone", data.classnames, 2, bank=data.prompt_bank)
    assert sentences[1] == ["A normal that looks like number 3.", "A normal that looks like number 4."]


def test_a_folder_needs_words_for_its_images(tmp_path, capsys):
    for line in (["--folder", str(tmp_path)], ["--folder", str(tmp_path), "--modality", "\x1b"], []):
        with pytest.raises(SystemExit):
            generate.main([*line, "--model", "m"])
    assert "expected --modality" in capsys.readouterr().err
    assert generate.main(["--folder", str(tmp_path / "none"), "--modality", "MRI", "--model", "m"]) == 1
    assert "Expected a folder of images" in said(capsys)
