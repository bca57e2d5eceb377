"""CLIP-Adapter against its equations on small numbers, and each ratio against learning it alone."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from datasets.base import BiomedDataset
from trainers.base.validation import Choice
from trainers.clip_adapter import Adapters


def test_adapters_blend_the_bottleneck_with_the_features():
    adapters = Adapters(4, 4, [0.5, 1.0])
    f = torch.tensor([[0.6, 0.8, 0.0, 0.0]])
    with torch.no_grad():
        adapters.down.copy_(torch.tensor([[1.0], [0.0], [0.0], [0.0]]))  # picks 0.6
        adapters.up.copy_(torch.tensor([[0.0, 0.0, 1.0, 0.0]]))  # and puts it in the third place
        half, whole = adapters(f)
        assert torch.allclose(half, torch.tensor([[0.3, 0.4, 0.3, 0.0]]) / 0.34**0.5)
        assert torch.allclose(whole, torch.tensor([[0.0, 0.0, 1.0, 0.0]]))
        adapters.down.neg_()  # now ReLU closes the bottleneck
        assert torch.allclose(adapters(f)[0], f)


def test_the_second_relu_and_the_length_are_as_asked():
    f = torch.tensor([[0.6, 0.8, 0.0, 0.0]])
    for relu, unit, expected in ((False, False, [0.3, 0.4, -0.3, 0.0]), (True, False, [0.3, 0.4, 0.0, 0.0])):
        adapters = Adapters(4, 4, [0.5], relu, unit)
        with torch.no_grad():
            adapters.down.copy_(torch.tensor([[1.0], [0.0], [0.0], [0.0]]))
            adapters.up.copy_(torch.tensor([[0.0, 0.0, -1.0, 0.0]]))
            assert torch.allclose(adapters(f)[0], torch.tensor([expected]))


def test_every_ratio_takes_the_step_it_would_take_alone(build):
    trainer = build("CLIPAdapter", "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5)
    adapters, decay = trainer.adapters, trainer.cfg.OPTIM.WEIGHT_DECAY
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    features, labels = batch["features"], batch["label"]
    start = adapters.down.detach().clone(), adapters.up.detach().clone()
    assert all(torch.equal(each[0], each[9]) for each in start)  # all begin alike
    expected = []
    for i, alpha in enumerate(trainer.settings.ALPHAS):
        down, up = (each[i].clone().requires_grad_() for each in start)
        adapted = normalize(alpha * torch.relu(features @ down) @ up + (1 - alpha) * features, dim=-1)
        loss = cross_entropy(trainer.backbone.logit_scale * adapted @ trainer.directions.T, labels)
        expected.append((loss.item(), *torch.autograd.grad(loss, (down, up))))
    summary = trainer.forward_backward(batch)
    assert summary["loss"] == pytest.approx(sum(loss for loss, _, _ in expected), rel=1e-5)
    for i, (loss, *gradients) in enumerate(expected):
        assert summary[f"ce_{trainer.settings.ALPHAS[i]:g}"] == pytest.approx(loss, rel=1e-5)
        for before, now, gradient in zip(start, (adapters.down, adapters.up), gradients, strict=True):
            assert torch.allclose(now[i], before[i] - 0.5 * (gradient + decay * before[i]), atol=1e-6)


def test_validation_images_choose_the_ratio(build):
    trainer = build("CLIPAdapter")
    features = trainer.plain_features(trainer.dm.dataset.val)
    with torch.no_grad():
        trainer.adapters.up.normal_(generator=torch.Generator().manual_seed(0))  # so that ratios disagree
        answers = trainer.logits_of_all(features).argmax(dim=-1)
    labels = answers[6]  # what ratio 0.7 says is made the truth
    first = next(i for i, said in enumerate(answers) if torch.equal(said, labels))
    assert not torch.equal(answers[0], labels)
    with torch.no_grad():
        best = trainer.best_ratio(features, labels)
    assert best == (first, f"alpha {trainer.settings.ALPHAS[first]}, {len(labels)} right")


def test_the_chosen_ratio_is_the_one_that_predicts(build, monkeypatch):
    trainer = build("CLIPAdapter")
    features = trainer.plain_features(trainer.dm.dataset.val)
    monkeypatch.setattr(trainer, "best_ratio", lambda *_: Choice(3, "the fourth"))
    with torch.no_grad():
        trainer.adapters.up.normal_(generator=torch.Generator().manual_seed(0))
        trainer.choose_settings()
        each = trainer.logits_of_all(features)
    assert torch.equal(trainer.logits(features), each[3]) and not torch.equal(each[0], each[3])


def test_without_validation_images_the_ratio_is_as_configured(build, monkeypatch, capsys):
    real = BiomedDataset.few_shot
    monkeypatch.setattr(BiomedDataset, "few_shot", lambda *args: real(*args) | {"val": []})
    trainer = build("CLIPAdapter", "TRAINER.CLIPADAPTER.ALPHA", 0.3)
    assert trainer.adapters.ratios.tolist() == pytest.approx([0.3])
    trainer.choose_settings()
    assert "No validation images" in capsys.readouterr().out and trainer.adapters.chosen == 0


def test_no_ratios_to_choose_from_leave_the_configured_one(build, capsys):
    trainer = build("CLIPAdapter", "TRAINER.CLIPADAPTER.ALPHAS", [], "TRAINER.CLIPADAPTER.ALPHA", 0.3)
    assert trainer.adapters.ratios.tolist() == pytest.approx([0.3])
    trainer.choose_settings()
    assert "Chosen on" not in capsys.readouterr().out and trainer.adapters.chosen == 0
