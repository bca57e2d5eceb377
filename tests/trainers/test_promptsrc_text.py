"""PromptSRC's text side: its loss terms and its average over epochs by hand, and their limits."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from dassl.errors import UserError
from datasets.prompts import load_prompts
from tests.run_folders import learned
from tests.trainers.helpers import BATCHES, ctx
from trainers.base.step import compute_losses
from trainers.promptsrc_text import AveragedPromptLearner, gaussian_weights

NODE = "TRAINER.PROMPTSRCTEXT."
OFF = (NODE + "TEXT_LOSS_WEIGHT", 0.0, NODE + "LOGITS_LOSS_WEIGHT", 0.0)
LAST = (NODE + "GPA_MEAN", 1.0, NODE + "GPA_STD", 0.001)  # all weight on the last epoch

pytestmark = pytest.mark.usefixtures("tiny")


def test_weights_are_those_of_the_published_gaussian():
    weights = gaussian_weights(20, mean=15, std=1)
    density = torch.tensor([0.3989423, 0.2419707, 0.0539910, 0.0044318], dtype=torch.float64)  # 0 to 3 deviations away
    assert weights.sum().item() == pytest.approx(1, rel=1e-12) and weights.argmax() == 15 - 1
    assert torch.allclose(weights[14:18], density, atol=2e-6) and torch.allclose(weights[11:15].flip(0), weights[14:18])
    assert gaussian_weights(3, mean=1, std=1e-9).tolist() == [1, 0, 0]
    assert gaussian_weights(2, mean=50, std=0.1).tolist() == [0, 1]  # where all densities are 0 in float64


@pytest.mark.parametrize(("setting", "mean", "std"), [("base2new", 15, 1), ("few_shot", 37.5, 2.5)])
def test_the_gaussian_is_stretched_to_the_epochs(build, capsys, setting, mean, std):
    epochs = {"base2new": 20, "few_shot": 50}[setting]
    trainer = build("PromptSRCText", "OPTIM.MAX_EPOCH", epochs, setting=setting)
    assert trainer.weights == gaussian_weights(epochs, mean, std).tolist()
    assert (
        f"average over {epochs} epochs, Gaussian of mean {mean} and deviation {std} epochs" in capsys.readouterr().out
    )


def test_the_terms_by_hand(build):
    trainer = build("PromptSRCText")
    batch = next(iter(trainer.train_loader_x))
    features, labels = batch["features"], batch["label"]
    sentences = load_prompts("btmri", "claude", trainer.dm.dataset.classnames, 50)
    frozen = torch.stack([normalize(trainer.backbone.encode_text(texts).mean(dim=0), dim=-1) for texts in sentences])
    ((logits, terms),) = compute_losses([trainer], [(features, labels)])
    prompts = trainer.prompt_features()
    assert torch.allclose(logits, 20 * features @ prompts.T, atol=1e-5)
    student, teacher = logits.softmax(dim=1), (20 * features @ frozen.T).softmax(dim=1)
    kl = (teacher * (teacher / student).log()).sum() / (len(labels) * 4)
    expected = {"ce": cross_entropy(logits, labels), "text": 25 * (prompts - frozen).abs().mean(), "logits": kl}
    assert terms.keys() == expected.keys() and kl > 1e-3
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-4), name
    weighted = build("PromptSRCText", NODE + "TEXT_LOSS_WEIGHT", 5.0, NODE + "LOGITS_LOSS_WEIGHT", 3.0)
    ((_, other),) = compute_losses([weighted], [(features, labels)])
    assert other["text"].item() == pytest.approx(terms["text"].item() / 5, rel=1e-5)
    assert other["logits"].item() == pytest.approx(3 * kl.item(), rel=1e-4)


def test_what_is_tested_and_kept_is_the_average_of_all_epochs(build, monkeypatch):
    seen, real = [], AveragedPromptLearner.add

    def noted(self, weight):
        seen.append(self.ctx.detach().double().clone())
        real(self, weight)

    monkeypatch.setattr(AveragedPromptLearner, "add", noted)
    wide = (NODE + "GPA_STD", 0.4)
    trainer = build("PromptSRCText", *BATCHES, *wide, "OPTIM.LR", 0.05, "OPTIM.MAX_EPOCH", 6)
    trainer.train()
    weights = [torch.exp(torch.tensor(-0.5 * ((e - 4.5) / 2.4) ** 2, dtype=torch.float64)) for e in range(1, 7)]
    average = sum(w * c for w, c in zip(weights, seen, strict=True)) / sum(weights)
    assert torch.allclose(ctx(trainer).double(), average, atol=1e-6)
    assert not any(torch.allclose(average, each, atol=1e-4) for each in seen)
    assert torch.equal(learned(Path(trainer.output_dir))["ctx"], ctx(trainer))


def test_without_its_weights_it_takes_the_steps_of_coop(learned_ctx):
    coop = learned_ctx("CoOp")
    assert torch.equal(learned_ctx("PromptSRCText", *OFF, *LAST), coop)
    for weight in OFF[::2]:
        one = [*OFF, *LAST]
        one[one.index(weight) + 1] = 1.0
        assert not torch.equal(learned_ctx("PromptSRCText", *one), coop)


def test_a_great_weight_brings_the_prompts_to_the_sentences(build, learned_ctx):
    def distance(*opts) -> float:
        context = learned_ctx("PromptSRCText", "OPTIM.MAX_EPOCH", 30, "OPTIM.LR", 0.002, *opts, *LAST)
        trainer = build("PromptSRCText")
        trainer.prompt_learner.ctx.data = context
        return (trainer.prompt_features() - trainer.ensemble).abs().mean().item()

    near, far = distance(NODE + "TEXT_LOSS_WEIGHT", 500.0), distance(*OFF)
    assert near < 0.5 * far


@pytest.mark.parametrize("std", [0.0, -1.0])
def test_a_gaussian_without_width_is_refused(build, std):
    with pytest.raises(UserError, match=f"GPA_STD above 0, but got {std}: give a part"):
        build("PromptSRCText", NODE + "GPA_STD", std)
