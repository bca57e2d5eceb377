"""Training in epochs: steps, gradients, learning rate, the log and the seconds."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from dassl.errors import DivergedError, UserError
from tests.run_folders import record
from tests.trainers.helpers import BATCHES, ctx
from trainers.base import feature_trainer
from trainers.base.step import backpropagate, compute_losses

pytestmark = pytest.mark.usefixtures("tiny")


def test_iterations_are_counted_over_epochs(build):
    trainer = build("CoOp", *BATCHES)
    trainer.epoch, trainer.batch_idx = 2, 1
    assert (trainer.iteration, trainer.total_iterations) == (5, 6)
    trainer.before_epoch()
    assert trainer.train_loader_x.epoch == 2


def test_the_learning_rate_changes_after_an_epoch_and_not_within_one(build, monkeypatch):
    trainer = build("CoOp", *BATCHES, "OPTIM.LR", 0.1, "OPTIM.MAX_EPOCH", 4, "TEST.NO_TEST", True)
    seen, real = [], type(trainer).model_update

    def noted(self, names=None):
        seen.append((self.epoch, self.batch_idx, self.get_current_lr()))
        real(self, names)

    monkeypatch.setattr(type(trainer), "model_update", noted)
    trainer.train()
    # a constant warm-up of one epoch, from which the half cosine of 4 epochs sets out: 0.1 (1 + cos(pi e / 4)) / 2
    rates = [1e-5] + [0.05 * (1 + math.cos(math.pi * e / 4)) for e in (0, 1, 2)]
    assert [(e, b) for e, b, _ in seen] == [(e, b) for e in range(4) for b in range(2)]
    assert [lr for _, _, lr in seen] == pytest.approx([lr for lr in rates for _ in range(2)], rel=1e-6)


def test_a_step_is_one_of_plain_sgd(build):
    trainer = build("CoOp", "OPTIM.WARMUP_EPOCH", 0, "OPTIM.LR", 0.5)
    trainer.num_batches = 1
    batch = next(iter(trainer.train_loader_x))
    start = ctx(trainer)
    logits = trainer.logits(batch["features"])
    loss = cross_entropy(logits, batch["label"])
    (grad,) = torch.autograd.grad(loss, trainer.prompt_learner.ctx)
    trainer.prompt_learner.ctx.grad = torch.ones_like(grad)  # left from the step before
    summary = trainer.forward_backward(batch)
    assert torch.allclose(ctx(trainer), start - 0.5 * (grad + 5e-4 * start), atol=1e-6)
    accuracy = (logits.argmax(1) == batch["label"]).double().mean().item() * 100
    assert summary == pytest.approx({"loss": loss.item(), "acc": accuracy})
    assert list(summary) == ["loss", "acc"]


def test_a_summary_adds_the_terms_and_shows_them_where_there_are_several(build):
    trainer = build("CoOp")
    logits, labels = torch.tensor([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [2.0, 1.0]]), torch.tensor([0, 0, 0, 0])
    one = trainer.summary((logits, {"ce": torch.tensor(0.25)}), labels)
    assert one == {"loss": 0.25, "acc": 75.0}
    two = trainer.summary((logits, {"ce": torch.tensor(0.25), "anc": torch.tensor(0.5)}), labels)
    assert two == {"loss": 0.75, "acc": 75.0, "ce": 0.25, "anc": 0.5}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_term_that_is_not_finite_is_named(build, bad):
    trainer = build("CoOp")
    trainer.epoch, trainer.batch_idx = 2, 4
    terms = {"ce": torch.tensor(1.0), "anc": torch.tensor(bad)}
    with pytest.raises(DivergedError, match=rf"but anc is {bad} at epoch 3, batch 5: lower"):
        trainer.summary((torch.zeros(1, 2), terms), torch.tensor([0]))


def test_gradients_of_several_runs_reach_their_own_parameters(build):
    pair = [build("CoOp", *BATCHES, seed=seed) for seed in (1, 2)]
    batches = [trainer.parse_batch_train(next(iter(trainer.train_loader_x))) for trainer in pair]
    backpropagate(pair, compute_losses(pair, batches))
    for trainer, batch in zip(pair, batches, strict=True):
        loss = cross_entropy(trainer.logits(batch[0]), batch[1])
        (alone,) = torch.autograd.grad(loss, trainer.prompt_learner.ctx)
        assert torch.allclose(trainer.prompt_learner.ctx.grad, alone, atol=1e-6)


def test_the_losses_of_several_adapters_are_each_ones_own(build):
    pair = [build("CLIPAdapter", *BATCHES, seed=seed) for seed in (1, 2)]
    batches = [trainer.parse_batch_train(next(iter(trainer.train_loader_x))) for trainer in pair]
    for trainer, batch, (logits, terms) in zip(pair, batches, compute_losses(pair, batches), strict=True):
        expected = trainer.loss(*batch, batch[0][:0])
        assert torch.equal(logits, expected[0])
        assert all(torch.equal(term, expected[1][name]) for name, term in terms.items())
    with pytest.raises(ValueError, match="zip"):
        compute_losses(pair, batches[:1])


def test_epochs_are_refused_by_a_method_that_learns_nothing_in_them(build):
    trainer = build("ZeroshotCLIP")
    trainer.max_epoch = 2
    with pytest.raises(UserError, match="MAX_EPOCH to be 0, but got 2: ZeroshotCLIP does not learn in epochs"):
        trainer.before_train()
    build("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0).before_train()


def test_a_whole_run_trains_tests_and_tells(build, capsys):
    trainer = build("CoOp", *BATCHES, "OPTIM.LR", 0.5)
    start = ctx(trainer)
    trainer.train()
    log = capsys.readouterr().out
    assert log.count("epoch [") == 3 and "epoch [3/3] batch [2/2]" in log
    assert log.index("Finish training\n") < log.index("Evaluate on the *test* set\n") < log.index("Elapsed: 0:0")
    assert not torch.equal(ctx(trainer), start)
    found = record(Path(trainer.output_dir))
    assert found["total"] == 20 and set(found["seconds"]) == {"start", "encode", "train", "test"}
    assert all(0 <= value < 600 for value in found["seconds"].values())


def test_the_time_of_a_step_taken_together_is_shared(build, monkeypatch, capsys):
    trainer = build("CoOp", "TEST.NO_TEST", True)
    now = [1000.0]
    monkeypatch.setattr(feature_trainer.time, "time", lambda: now[0])
    trainer.before_train()
    now[0], trainer.together = 1090.0, 3
    trainer.after_train()
    assert trainer.seconds["train"] == pytest.approx(30.0)
    assert "Elapsed: 0:01:30\n" in capsys.readouterr().out
    assert "test" not in trainer.seconds  # NO_TEST
    assert not (Path(trainer.output_dir) / "metrics.json").exists()
