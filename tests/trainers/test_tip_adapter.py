"""Tip-Adapter against its equation on small numbers, its search against two plain loops, its learning against AdamW."""

import contextlib
import functools
import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

import train
from dassl.errors import UserError
from datasets.base import BiomedDataset
from tests.run_folders import learned, record, run_folder
from trainers.base.validation import first_best, right_answers
from trainers.tip_adapter import ADAM_EPS, Cache, TipAdapterF


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


@pytest.mark.parametrize("name", ["TipAdapter", "TipAdapterF"])
@pytest.mark.parametrize(
    ("seen", "there", "numbers"),
    [("none", 0, []), ("one", 0, [0]), ("many", 0, [0, 1]), ("many", 9, [0, 1]), ("many", 1, [0])],
)
def test_keys_are_means_of_the_views_that_are_asked_for(build, tiny, name, seen, there, numbers):
    node = f"TRAINER.{name.upper()}."
    trainer = build(name, node + "VIEWS", seen, node + "AUGMENT_EPOCH", 2, "FEATURES.VIEWS", there)
    after = 0 if there else trainer.max_epoch * (seen == "many")  # the views of training are not in the keys
    views = [trainer.views([number + after])[0] for number in numbers] or [trainer.plain_features(trainer.train_items)]
    assert torch.allclose(trainer.cache.keys, normalize(sum(views), dim=1), atol=1e-6)
    assert trainer.max_epoch == (3 if name == "TipAdapterF" else 0)


def test_a_key_needs_a_view(build, tiny):
    with pytest.raises(UserError, match=r"TRAINER.TIPADAPTERF.AUGMENT_EPOCH of 1 or more, but got 0"):
        build("TipAdapterF", "TRAINER.TIPADAPTERF.AUGMENT_EPOCH", 0, "TRAINER.TIPADAPTERF.VIEWS", "many")
    build("TipAdapterF", "TRAINER.TIPADAPTERF.AUGMENT_EPOCH", 0, "TRAINER.TIPADAPTERF.VIEWS", "one")


def test_logits_of_the_cache_add_to_zero_shot(build):
    trainer = build("TipAdapter")
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
    assert (beta, alpha) == pytest.approx((0.1 + i * 7.9 / 5, 0.1 + j * 59.9 / 7), rel=1e-5)


def test_without_validation_images_nothing_is_searched(build, monkeypatch):
    real = BiomedDataset.few_shot
    monkeypatch.setattr(BiomedDataset, "few_shot", lambda *args: real(*args) | {"val": []})
    cache = build("TipAdapter", "TRAINER.TIPADAPTER.INIT_ALPHA", 2.0).cache
    assert (cache.alpha, cache.beta) == (2.0, 1.0)
    node = "TRAINER.TIPADAPTERF."
    trainer = build("TipAdapterF", node + "INIT_ALPHA", 2.0, node + "ALPHAS", [5.0], "TEST.NO_TEST", True)
    trainer.train()
    assert (trainer.cache.alpha, trainer.cache.beta) == (2.0, 1.0)


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


def test_each_alpha_has_its_share_of_the_epochs_and_begins_anew(build, tiny, monkeypatch):
    batches, alphas = ("DATALOADER.TRAIN_X.BATCH_SIZE", 4), ("TRAINER.TIPADAPTERF.ALPHAS", [0.0, 2.0, 3.0])
    trainer = build("TipAdapterF", *batches, *alphas, "OPTIM.MAX_EPOCH", 6, "TEST.NO_TEST", True)
    seen, real = [], TipAdapterF.loss

    def noted(self, *args):
        optimizer = self._optims["cache"]
        steps = int(optimizer.state[self.cache.keys]["step"]) if optimizer.state else 0
        seen.append((self.cache.alpha.item(), steps, self.get_current_lr(), optimizer.param_groups[0]["eps"]))
        return real(self, *args)

    monkeypatch.setattr(TipAdapterF, "loss", noted)
    trainer.train()
    once = [0.0005 * (1 + math.cos(math.pi * step / 4)) for step in range(4)]  # two epochs of two batches
    assert seen == [(a, n, pytest.approx(lr, rel=1e-6), ADAM_EPS) for a in (0, 2, 3) for n, lr in enumerate(once)]


@pytest.mark.parametrize(("alphas", "epochs"), [([], 3), ([1.0, 2.0], 3)])
def test_epochs_that_cannot_be_shared_are_refused(build, tiny, alphas, epochs):
    with pytest.raises(UserError, match=f"got {epochs} epochs and {len(alphas)} values"):
        build("TipAdapterF", "TRAINER.TIPADAPTERF.ALPHAS", alphas, "OPTIM.MAX_EPOCH", epochs)


@pytest.mark.parametrize(("best", "kept"), [(True, 1), (False, 3)])
def test_the_keys_of_the_first_of_the_best_epochs_are_tested_even_in_a_resumed_run(
    build, tiny, monkeypatch, capsys, tmp_path, best, kept
):
    opts = ("OPTIM.MAX_EPOCH", 4, "TRAINER.TIPADAPTERF.BEST_EPOCH", best, "TEST.NO_TEST", True)
    keys: dict[int, torch.Tensor] = {}
    real = TipAdapterF.after_epoch

    def noted(self):
        keys[self.epoch] = self.cache.keys.detach().clone()
        real(self)

    def scripted(logits, labels):  # of epochs; then of the grid search
        return torch.tensor([2, 7, 7, 5])[trainer.epoch] if logits.ndim == 2 else right_answers(logits, labels)

    monkeypatch.setattr(TipAdapterF, "after_epoch", noted)
    monkeypatch.setattr("trainers.tip_adapter.right_answers", scripted)
    for folder, stops in ((tmp_path / "whole", []), (tmp_path / "resumed", [3])):
        for stop in [*stops, None]:
            trainer = build("TipAdapterF", *opts, output=folder)
            with pytest.raises(KeyboardInterrupt) if stop else contextlib.nullcontext():
                if stop:
                    monkeypatch.setattr(trainer, "run_epoch", functools.partial(interrupted, trainer, stop))
                trainer.train()
        assert torch.equal(trainer.cache.keys, keys[kept])
        assert not torch.equal(keys[1], keys[3]) and not torch.equal(keys[1], keys[2])
        said = f"Keys of epoch 2 of 4, 7 of {len(trainer.dm.dataset.val)} right\n" in capsys.readouterr().out
        assert said is best


def interrupted(trainer, stop: int) -> None:
    """Stand for `run_epoch` of a run that is interrupted before epoch `stop`."""
    if trainer.epoch == stop:
        raise KeyboardInterrupt
    type(trainer).run_epoch(trainer)


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
