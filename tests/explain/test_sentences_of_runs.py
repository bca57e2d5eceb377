"""The sentences of trained methods: where they come from, what they explain, and what the command prints."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dassl.errors import UserError
from explain import sentences
from explain.moved import Movement, movements, told, untrained_prompts
from explain.sentences import gain_directions, speaking_sentences
from explain.sources import bank_of, image_centre
from explain.spoken import Spoken
from tests.conftest import CLASSES

pytestmark = pytest.mark.usefixtures("tiny")
METHODS = ("ZeroshotCLIP", "CoOp", "CoCoOp", "vMFPrototypes", "TipAdapter", "LinearProbe")


def run_of(trainer, phantom=False, why=None):
    """What `explain` needs of a finished run; `why` is the error of one whose data set is not there."""

    def dataset(reason):
        if why:
            raise UserError(f"{why}: {reason}")
        return trainer.dm.dataset

    return SimpleNamespace(trainer=trainer, phantom=phantom, logits=trainer.logits, dataset=dataset)


@pytest.fixture
def trained(build):
    """trained(method, key, value, ...) -> a trainer that has learned."""

    def make(method: str, *opts):
        epochs = () if "Co" in method else ("OPTIM.MAX_EPOCH", 0)
        trainer = build(method, "OPTIM.LR", 0.05, "TEST.NO_TEST", True, *epochs, *opts)
        trainer.train()
        trainer.set_model_mode("eval")
        return trainer

    return make


@pytest.mark.parametrize("method", METHODS)
def test_any_method_is_explained_by_sentences_about_the_class_that_it_predicts(trained, method):
    trainer = trained(method)
    bank, features = bank_of(trainer), trainer.plain_features(trainer.dm.dataset.test)
    assert [len(some) for some in bank.texts] == [len(some) for some in bank.features] and len(bank.texts) == 4
    first, second = trainer.logits(features).topk(2, dim=1).indices.T
    found = speaking_sentences(run_of(trainer), features, first, second, count=2)
    assert any(found)
    for some, label in zip(found, first.tolist(), strict=True):
        assert len(some) <= 2 and all(each.label == label and each.text in bank.texts[label] for each in some)
    turned = speaking_sentences(run_of(trainer), features, second, first, count=2)
    assert found != turned


def test_many_pictures_are_explained_as_few(trained, monkeypatch):
    trainer = trained("CoCoOp")
    features = trainer.plain_features(trainer.dm.dataset.test)
    best = trainer.logits(features).topk(2, dim=1).indices.T
    whole = speaking_sentences(run_of(trainer), features, *best)
    monkeypatch.setattr(sentences, "AT_ONCE", 3)
    parts = speaking_sentences(run_of(trainer), features, *best)
    for one, other in zip(whole, parts, strict=True):
        assert [each.score for each in one] == pytest.approx([each.score for each in other], abs=1e-5)


def test_a_gain_of_zero_shot_is_the_difference_of_its_directions(trained):
    trainer = trained("ZeroshotCLIP")
    features = trainer.plain_features(trainer.dm.dataset.test)
    first, second = trainer.logits(features).topk(2, dim=1).indices.T
    found = gain_directions(trainer.logits, features, first, second)
    assert torch.allclose(found, 20 * (trainer.directions[first] - trainer.directions[second]), atol=1e-5)


def test_a_method_that_reads_no_sentence_is_explained_by_the_bank_of_its_settings(build, capsys):
    trainer = build("CoOp")
    assert trainer.sentences == (0, None)
    bank = bank_of(trainer)
    assert "Sentences: 50 per class, by claude" in capsys.readouterr().out
    assert torch.allclose(bank.features[2], trainer.store.texts(bank.texts[2]))
    other = bank_of(trainer, "claude-brief")
    assert other.texts[0] != bank.texts[0] and other.told.startswith("claude-brief")
    with pytest.raises(UserError, match="claude/btmri"):
        bank_of(trainer, "nobody")


def test_without_support_images_pictures_are_not_centred_and_a_line_says_why(trained, capsys):
    trainer = trained("CoOp")
    expected = trainer.plain_features(trainer.train_items).view(4, 2, -1).mean(dim=1).mean(dim=0).double()
    assert torch.allclose(image_centre(run_of(trainer)), expected, atol=1e-6) and expected.norm() > 0.1
    capsys.readouterr()
    assert torch.equal(image_centre(run_of(trainer, why="It has moved")), torch.zeros(16, dtype=torch.double))
    said = capsys.readouterr().out
    assert said == "Sentences: the centre of the images is not known. It has moved: the centre of the images\n"


def test_the_posterior_has_the_centre_in_its_checkpoint(trained, capsys):
    trainer = trained("vMFPrototypes")
    features = trainer.plain_features(trainer.train_items)
    trainer.train_items = None
    found = image_centre(run_of(trainer, why="It has moved"))
    assert torch.allclose(found, features.view(4, 2, -1).mean(dim=1).mean(dim=0).double(), atol=1e-6)
    assert "not known" not in capsys.readouterr().out


@pytest.mark.parametrize("method", ["CoOp", "CoCoOp", "BiomedCoOp", "vMFCoOp"])
def test_prompts_have_not_moved_before_training_and_have_after(build, method):
    trainer = build(method)
    bank = bank_of(trainer)
    assert movements(run_of(trainer), bank) == [Movement([], [], 0.0)] * 4
    with torch.no_grad():
        trainer.prompt_learner.ctx.add_(torch.randn_like(trainer.prompt_learner.ctx))
    found = movements(run_of(trainer), bank, count=2)
    assert all(each.distance > 0.01 and len(each.towards) == len(each.away) == 2 for each in found)
    step = trainer.prompt_features() - untrained_prompts(trainer)
    assert step.norm() > 0.01


def test_prompts_are_compared_with_the_words_that_their_context_started_from(build):
    trainer = build(
        "CoOp", "TRAINER.COOP.CTX_INIT", "this scan shows one", "TRAINER.COOP.CLASS_TOKEN_POSITION", "front"
    )
    expected = trainer.store.texts([f"{name} this scan shows one." for name in CLASSES])
    assert torch.allclose(untrained_prompts(trainer), expected, atol=1e-6)
    assert movements(run_of(trainer), bank_of(trainer)) == [Movement([], [], 0.0)] * 4


def test_a_context_of_random_numbers_is_compared_with_the_template(build, capsys):
    trainer = build("CoOp", "TRAINER.COOP.CTX_INIT", "")
    expected = trainer.store.texts([f"a photo of a {name}." for name in CLASSES])
    assert torch.allclose(untrained_prompts(trainer), expected)
    assert 'compared with "a photo of a {}."' in capsys.readouterr().out


@pytest.mark.parametrize("method", ["ZeroshotCLIP", "ZeroshotEnsemble", "LinearProbe", "TipAdapter"])
def test_other_methods_moved_from_zero_shot(trained, method):
    trainer = trained(method)
    found = movements(run_of(trainer), bank_of(trainer))
    assert all((each == Movement([], [], 0.0)) == (method == "ZeroshotCLIP") for each in found)


def test_a_movement_is_told_in_lines_of_the_terminal():
    spoken = [Spoken("a ring \x1b[2J " + "and more " * 20, 0.5, 0), Spoken("a tail", 0.25, 1)]
    text = told(Movement(spoken, [Spoken("a fold", -0.5, 1)], 0.75), 0, ["glioma", "normal\x1b brain"], width=60)
    assert text.startswith("glioma: moved by 0.75 times the distance between classes\n  towards +0.50  a ring")
    assert max(map(len, text.split("\n"))) <= 60 and "\x1b" not in text
    assert "          +0.25  (normal\\x1b brain) a tail\n  away    -0.50  (normal" in text
    assert all(line.startswith(" " * 17) for line in text.split("\n")[2:4])  # the rest of a long sentence
    one_side = told(Movement(spoken[1:], [], 0.75), 1, ["glioma", "normal"])
    assert one_side == "normal: moved by 0.75 times the distance between classes\n  towards +0.25  a tail\n"
    assert told(Movement([], [], 0.0), 1, ["glioma", "normal"]) == "normal: did not move\n"


@pytest.fixture
def command(trained, monkeypatch, capsys):
    """command(*words) -> status, output and errors of the command on a run of CoOp; `phantom` says what it is."""
    trainer = trained("CoOp")

    def from_run(folder, root, backbone):
        assert (folder, root, backbone) == (Path("folder"), "", "")
        return run_of(trainer, run.phantom)

    predictor = SimpleNamespace(from_run=from_run)
    monkeypatch.setitem(sys.modules, "runs.predictor", SimpleNamespace(Predictor=predictor))
    monkeypatch.setenv("COLUMNS", "90")

    def run(*words):
        status = sentences.main(["folder", *words])
        return status, *capsys.readouterr()

    capsys.readouterr()
    run.phantom = False
    return run


def test_the_command_tells_all_classes_or_one(command):
    status, text, _ = command("--count", "2")
    assert status == 0 and "CoOp on BTMRI, PhantomCLIP" in text and "phantom)" not in text
    assert [name for name in CLASSES if f"\n{name}: moved by" in text] == CLASSES
    assert text.count("towards") == text.count("away  ") == 4
    status, text, _ = command("--class", CLASSES[1], "--llm", "claude-brief")
    assert status == 0 and "by claude-brief" in text
    assert [name for name in CLASSES if f"\n{name}: moved by" in text] == CLASSES[1:2]
    assert text.count(" +0.") == text.count(" -0.") == 5


def test_the_command_says_phantom(command):
    command.phantom = True
    assert "CoOp on BTMRI (phantom), PhantomCLIP" in command()[1]


def test_an_unknown_class_is_one_line(command):
    status, _, errors = command("--class", "lipoma")
    assert (
        status == 1
        and errors.startswith("error: Expected --class to be one of glioma tumor, ")
        and "'lipoma'" in errors
    )
