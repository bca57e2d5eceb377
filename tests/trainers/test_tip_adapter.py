"""Tip-Adapter against its equation on small numbers, its search against two plain loops, its learning against AdamW."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

import train
from datasets.base import BiomedDataset
from tests.run_folders import learned, record, run_folder
from trainers.base.validation import first_best, right_answers
from trainers.tip_adapter import ADAM_EPS, Cache


def test_the_cache_adds_the_affinity_to_the_keys_of_each_class():
    keys, values = torch.eye(2).repeat(2, 1), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    cache = Cache(keys, values, alpha=3.0, beta=2.0)
    said = cache(torch.tensor([[0.6, 0.8]]))  # cosines 0.6, 0.8, 0.6, 0.8
    near, far = math.exp(-2 * 0.2), math.exp(-2 * 0.4)
    assert said[0].tolist() == pytest.approx([3 * far, 3 * (near + far + near)], rel=1e-5)


def test_right_answers_and_the_first_of_equals():
    logits = torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[2.0, 1.0], [3.0, 0.0]]])
    assert right_answers(logits, torch.tensor([0, 0])).tolist() == [1, 2]
    assert first_best(torch.tensor([[1, 4], [4, 2]])) == (0, 1)


def test_keys_are_mean_views_and_logits_add_to_zero_shot(build):
    trainer = build("TipAdapter", "TRAINER.TIPADAPTER.AUGMENT_EPOCH", 2)
    mean = (trainer.train_features(0) + trainer.train_features(1)) / 2
    assert torch.allclose(trainer.cache.keys, mean / mean.norm(dim=1, keepdim=True), atol=1e-6)
    assert trainer.cache.values.argmax(dim=1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    features = trainer.plain_features(trainer.dm.dataset.val)
    zero_shot, alpha, beta = build("ZeroshotCLIP").logits(features), trainer.cache.alpha, trainer.cache.beta
    affinity = features @ trainer.cache.keys.T
    expected = zero_shot + alpha * torch.exp(-beta * (1 - affinity)) @ trainer.cache.values
    assert torch.allclose(trainer.logits(features), expected, atol=1e-4)


def test_search_equals_two_loops(build):
    node = "TRAINER.TIPADAPTER."
    trainer = build("TipAdapter", node + "SEARCH_SCALE", [8.0, 60.0], node + "SEARCH_STEP", [5, 7])
    g = torch.Generator().manual_seed(0)
    features = normalize(torch.randn(40, trainer.backbone.embed_dim, generator=g), dim=1)
    zero_shot = trainer.backbone.logit_scale * features @ trainer.directions.T
    logits = {}
    for i, j in itertools.product(range(5), range(7)):
        beta, alpha = 0.1 + i * 7.9 / 5, 0.1 + j * 59.9 / 7
        near = torch.exp(-beta * (1 - features @ trainer.cache.keys.T))
        logits[i, j] = zero_shot + alpha * near @ trainer.cache.values
    first, second = torch.stack(list(logits.values())).topk(2).values.unbind(dim=-1)
    clear = (first - second > 1e-3).all(dim=0)  # rounding decides between nearer ones
    features, answers = features[clear], {point: each[clear].argmax(dim=1) for point, each in logits.items()}
    labels = answers[1, 5]
    right = {point: int((said == labels).sum()) for point, said in answers.items()}
    i, j = max(right, key=right.get)  # the first of equals
    assert i != j and right[0, 0] < len(labels) > 30
    with torch.no_grad():
        (alpha, beta), words = trainer.best_weights(features, labels)
    assert words == f"alpha {alpha:.2f}, beta {beta:.2f}, {right[i, j]} right"
    assert (beta.item(), alpha.item()) == pytest.approx((0.1 + i * 7.9 / 5, 0.1 + j * 59.9 / 7), rel=1e-5)


def test_without_validation_images_nothing_is_searched(build, monkeypatch):
    real = BiomedDataset.few_shot
    monkeypatch.setattr(BiomedDataset, "few_shot", lambda *args: real(*args) | {"val": []})
    cache = build("TipAdapter", "TRAINER.TIPADAPTER.INIT_ALPHA", 2.0).cache
    assert (cache.alpha, cache.beta) == (2.0, 1.0)


def test_keys_take_a_step_of_adamw(build):
    trainer = build("TipAdapterF", "DATALOADER.TRAIN_X.BATCH_SIZE", 4)
    cache, lr, decay = trainer.cache, trainer.cfg.OPTIM.LR, trainer.cfg.OPTIM.WEIGHT_DECAY
    assert (cache.alpha, cache.beta, lr, decay) == (1.0, 1.0, 0.001, 0.01)  # as published
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    features, labels, start = batch["features"], batch["label"], cache.keys.detach().clone()
    keys = start.clone().requires_grad_()
    logits = trainer.backbone.logit_scale * features @ trainer.directions.T
    logits = logits + torch.exp(features @ keys.T - 1) @ cache.values
    loss = cross_entropy(logits, labels)
    (gradient,) = torch.autograd.grad(loss, keys)
    assert trainer.forward_backward(batch)["loss"] == pytest.approx(loss.item(), rel=1e-5)
    expected = start * (1 - lr * decay) - lr * gradient / (gradient.abs() + ADAM_EPS)  # Adam's first step
    assert torch.allclose(cache.keys, expected, atol=1e-6)


def test_checkpoint_holds_what_was_chosen(flags, tmp_path):
    assert train.main(flags("TipAdapterF")) == 0
    folder = run_folder(tmp_path, "TipAdapterF")
    state = learned(folder, "cache")
    chosen = f"alpha {state['alpha']:.2f}, beta {state['beta']:.2f}, "
    assert chosen in (folder / "log.txt").read_text() and (state["alpha"], state["beta"]) != (1.0, 1.0)
    again = tmp_path / "again"
    more = ("--eval-only", "--model-dir", folder, "--output-dir", again)
    assert train.main(flags("TipAdapterF", more=more)) == 0
    assert (again / "predictions.csv").read_text() == (folder / "predictions.csv").read_text()
    assert record(again)["metrics"] == record(folder)["metrics"]
