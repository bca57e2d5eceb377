"""What every method stands on, on a backbone in memory: features, steps, learning rate, checkpoints, test."""

import csv
import math
import types
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from dassl.errors import DivergedError, UserError
from datasets.base import PHANTOM_NOTICE
from tests.run_folders import learned, record
from trainers.base import checkpoints, feature_trainer
from trainers.base.checkpoints import digest, epochs, newest
from trainers.base.digests import config_digest, of_training
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.step import backward, losses

BATCHES = ("DATALOADER.TRAIN_X.BATCH_SIZE", 4)  # two an epoch


class Store:
    """Stands in for the feature store: a row says which image and which view it is; `asked` is what was encoded."""

    def __init__(self):
        self.asked = []

    def images(self, paths, transform, view=None):
        self.asked.append((list(paths), transform, view))
        views = [-1] * len(paths) if view is None else view
        return torch.tensor([[float(len(path)), float(v)] for path, v in zip(paths, views, strict=True)])


@pytest.fixture(autouse=True)
def in_memory(tiny):
    return tiny


@pytest.fixture
def build(build):
    """`build` of the others, and the run's folder."""

    def make(*args, **kwargs):
        trainer = build(*args, **kwargs)
        Path(trainer.output_dir).mkdir(parents=True, exist_ok=True)
        return trainer

    return make


def ctx(trainer) -> torch.Tensor:
    return trainer.prompt_learner.ctx.detach().clone()


def replaced(trainer, **fields) -> types.SimpleNamespace:
    """The data set of `trainer` with other fields."""
    return types.SimpleNamespace(**vars(trainer.dm.dataset) | {"classnames": trainer.dm.dataset.classnames} | fields)


# ------------------------------------------------------------------------------------------------------ construction


def test_the_backbone_is_loaded_once_for_all_runs_of_a_process(build, tiny, tmp_path):
    first = build("CoOp", "FEATURES.ROOT", str(tmp_path / "store"), "DATALOADER.NUM_WORKERS", 1)
    again = build("KgCoOp", "FEATURES.ROOT", str(tmp_path / "store"), "DATALOADER.NUM_WORKERS", 1, seed=2)
    assert tiny.calls == [("PhantomCLIP", "cpu", "fp32")]
    assert first.backbone is again.backbone is tiny and first.store is again.store
    assert first.store.root == tmp_path / "store" and first.store.workers == 1
    build("CoOp", "TRAINER.COOP.PREC", "bf16")
    assert tiny.calls[1:] == [("PhantomCLIP", "cpu", "bf16")]
    build("CoOp", "FEATURES.ROOT", str(tmp_path / "store"), "DATALOADER.NUM_WORKERS", 1)
    assert len(tiny.calls) == 3  # one is held at a time


def test_the_store_is_the_users_unless_a_folder_is_named(build):
    import os

    assert build("CoOp").store.root == Path(os.environ["VMFCOOP_CACHE"])


def test_the_backbone_says_what_its_pixels_are(build):
    cfg = build("CoOp", "INPUT.SIZE", (100, 100)).cfg
    assert tuple(cfg.INPUT.SIZE) == (8, 8) and cfg.INPUT.INTERPOLATION == "bilinear"
    assert (list(cfg.INPUT.PIXEL_MEAN), list(cfg.INPUT.PIXEL_STD)) == ([0.4, 0.5, 0.6], [0.3, 0.2, 0.1])
    assert cfg.is_frozen()


def test_training_images_are_augmented_and_test_images_are_not(build):
    trainer = build("CoOp")
    assert "RandomResizedCrop" in repr(trainer.train_transform) and "Random" not in repr(trainer.test_transform)
    plain, view = trainer.plain_features(trainer.train_items), trainer.train_features(0)
    assert plain.shape == view.shape == (8, 16) and not torch.allclose(plain, view)
    assert torch.allclose(plain.norm(dim=1), torch.ones(8))


def test_the_loader_gives_the_support_set_in_batches(build):
    trainer = build("CoOp", *BATCHES, seed=5)
    loader = trainer.train_loader_x
    assert (loader.batch_size, len(loader)) == (4, 2)
    assert loader.labels.tolist() == [item.label for item in trainer.train_items]
    for batch in loader:
        assert torch.equal(batch["features"], trainer.train_features(0)[batch["index"]])
    features, labels = trainer.parse_batch_train(batch)
    assert features is batch["features"] and labels is batch["label"]


def test_construction_tells_backbone_classes_and_parameters(build, capsys):
    trainer = build("CoOp")
    log = capsys.readouterr().out
    assert "Backbone: PhantomCLIP (D = 16, 8 px), 4 classes\n" in log
    assert "Learned parameters: 48 in ['prompt_learner']\n" in log and PHANTOM_NOTICE not in log
    assert 0 <= trainer.seconds["start"] < 600
    build("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0)
    assert "Learned parameters: 0 in none\n" in capsys.readouterr().out
    trainer.dm.dataset = replaced(trainer, phantom=True)
    trainer._models.clear()
    trainer.build_model()
    assert PHANTOM_NOTICE in capsys.readouterr().out
    trainer.dm.dataset = types.SimpleNamespace(
        classnames=["a", "b"], train_x=[], val=[], test=[]
    )  # one that knows of no phantoms
    trainer._models.clear()
    trainer.build_model()
    assert PHANTOM_NOTICE not in capsys.readouterr().out


def test_a_run_has_at_least_one_line_an_epoch(build):
    trainer = build("CoOp", *BATCHES, "TRAIN.PRINT_FREQ", 20)
    assert trainer.print_freq == 2 and trainer.cfg.TRAIN.PRINT_FREQ == 20
    assert build("CoOp", *BATCHES, "TRAIN.PRINT_FREQ", 1).print_freq == 1


def test_first_values_follow_from_the_seed_whatever_was_drawn_before(build):
    noise = ("TRAINER.COOP.CTX_INIT", "")
    first = ctx(build("CoOp", *noise))
    trainer = build("CoOp", *noise)
    torch.rand(7)
    trainer._models.clear()
    trainer.build_model()
    assert torch.equal(ctx(trainer), first)
    assert not torch.equal(ctx(build("CoOp", *noise, seed=2)), first)
    assert torch.equal(ctx(build("CoOp", *noise, seed=0)), ctx(build("CoOp", *noise, seed=0)))
    for seed, alike in ((0, True), (-1, False)):  # -1: no seed
        trainer.cfg.defrost()
        trainer.cfg.SEED = seed
        drawn = []
        for _ in range(2):
            trainer._models.clear()
            trainer.build_model()
            drawn.append(ctx(trainer))
        assert torch.equal(*drawn) is alike


def test_learn_registers_a_module_with_an_optimizer_of_its_own(build):
    trainer = build("CoOp", "OPTIM.LR", 0.02, "OPTIM.WARMUP_EPOCH", 0)
    module = torch.nn.Linear(2, 1)
    trainer.learn("other", module, LR=0.5, WEIGHT_DECAY=0.0, MOMENTUM=0.0)
    assert trainer.get_model_names() == ["prompt_learner", "other"] and trainer._models["other"] is module
    (usual,), (own,) = (trainer._optims[name].param_groups for name in trainer.get_model_names())
    assert (own["lr"], own["weight_decay"], own["momentum"]) == (0.5, 0.0, 0.0)
    assert (usual["lr"], usual["weight_decay"], usual["momentum"]) == (0.02, 5e-4, 0.9)
    assert trainer.cfg.OPTIM.LR == 0.02
    trainer.update_lr("other")
    assert own["lr"] == pytest.approx(0.5 * (1 + math.cos(math.pi / 3)) / 2) and usual["lr"] == 0.02


def test_a_method_must_say_how_it_predicts_and_learns():
    bare = object.__new__(FeatureTrainer)
    assert bare.build_method(["a"]) is None
    assert bare.class_bound is False and bare.together == 1 and bare.extra_metrics(None, None) == {}
    assert dict(FeatureTrainer.defaults()) == {"PREC": "fp32"}
    with pytest.raises(NotImplementedError):
        bare.logits(torch.zeros(1, 2))
    with pytest.raises(NotImplementedError):
        bare.loss(torch.zeros(1, 2), torch.zeros(1), torch.zeros(0, 2))
    assert bare.prompts(torch.zeros(1, 2)) is None


def test_a_run_knows_what_it_follows_from(build):
    trainer = build("vMFCoOp")
    assert trainer.hashes == {
        "config": config_digest(trainer.cfg),
        "sentences": trainer.sentences[1],
        **of_training(trainer.cfg, trainer.dm.dataset),
    }
    assert trainer.sentences[0] == 50 and len(trainer.sentences[1]) == 16
    coop = build("CoOp")
    assert coop.sentences == (0, None) and coop.hashes["support"] == trainer.hashes["support"]
    assert coop.hashes["config"] != trainer.hashes["config"]


# ---------------------------------------------------------------------------------------------------------- features


def test_every_epoch_has_a_view_of_its_own_and_blocks_of_views_are_encoded_at_once(build, monkeypatch):
    trainer = build("CoOp", "OPTIM.MAX_EPOCH", 5)
    trainer.store = Store()
    monkeypatch.setattr(feature_trainer, "VIEWS_AT_ONCE", 23)  # 2 views of 8 images
    for epoch in range(5):
        assert trainer.train_features(epoch)[:, 1].tolist() == [float(epoch)] * 8
        assert trainer.train_features(epoch)[:, 0].tolist() == [len(item.impath) for item in trainer.train_items]
    paths = [item.impath for item in trainer.train_items]
    assert trainer.store.asked == [
        (paths * 2, trainer.train_transform, [0] * 8 + [1] * 8),
        (paths * 2, trainer.train_transform, [2] * 8 + [3] * 8),
        (paths, trainer.train_transform, [4] * 8),  # no more epochs
    ]


def test_views_are_used_in_turn_where_their_number_is_set(build):
    trainer = build("CoOp", "OPTIM.MAX_EPOCH", 7, "FEATURES.VIEWS", 3)
    trainer.store = Store()
    assert [trainer.train_features(epoch)[0, 1].item() for epoch in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert [view for _, _, view in trainer.store.asked] == [[0] * 8 + [1] * 8 + [2] * 8]


def test_a_view_is_there_even_where_no_epoch_or_little_memory_is(build, monkeypatch):
    trainer = build("TipAdapter", "OPTIM.MAX_EPOCH", 0, "TRAINER.TIPADAPTER.AUGMENT_EPOCH", 1)
    trainer.store, trainer._views = Store(), {}
    monkeypatch.setattr(feature_trainer, "VIEWS_AT_ONCE", 3)  # fewer than there are images
    assert trainer.train_features(1)[:, 1].tolist() == [1.0] * 8
    trainer = build("CoOp")
    trainer.store = Store()
    trainer.train_features(0)
    assert [view for _, _, view in trainer.store.asked] == [[0] * 8]


def test_features_of_a_test_have_no_view(build):
    trainer = build("CoOp")
    trainer.store = Store()
    items = trainer.dm.dataset.val[:3]
    assert trainer.plain_features(items)[:, 1].tolist() == [-1.0] * 3
    assert trainer.store.asked == [([item.impath for item in items], trainer.test_transform, None)]


# ---------------------------------------------------------------------------------------------------------- training


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
    backward(pair, losses(pair, batches))
    for trainer, batch in zip(pair, batches, strict=True):
        loss = cross_entropy(trainer.logits(batch[0]), batch[1])
        (alone,) = torch.autograd.grad(loss, trainer.prompt_learner.ctx)
        assert torch.allclose(trainer.prompt_learner.ctx.grad, alone, atol=1e-6)


def test_the_losses_of_several_adapters_are_each_ones_own(build):
    pair = [build("CLIPAdapter", *BATCHES, seed=seed) for seed in (1, 2)]
    batches = [trainer.parse_batch_train(next(iter(trainer.train_loader_x))) for trainer in pair]
    for trainer, batch, (logits, terms) in zip(pair, batches, losses(pair, batches), strict=True):
        expected = trainer.loss(*batch, batch[0][:0])
        assert torch.equal(logits, expected[0])
        assert all(torch.equal(term, expected[1][name]) for name, term in terms.items())
    with pytest.raises(ValueError, match="zip"):
        losses(pair, batches[:1])


def test_epochs_are_refused_by_a_method_that_learns_nothing_in_them(build):
    trainer = build("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 2)
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
    assert found["total"] == 20 and set(found["seconds"]) == {"start", "train", "test"}
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


# ------------------------------------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_holds_what_was_learned_and_while_epochs_are_to_come_the_optimizer(build, capsys):
    trainer = build("vMFCoOp")
    folder = Path(trainer.output_dir)
    capsys.readouterr()
    trainer.epoch = 1
    trainer.after_epoch()  # 2 of 3
    assert capsys.readouterr().out == ""
    for name in ("prompt_learner", "anchor_offsets"):
        state = torch.load(folder / name / "model.pth.tar-2", weights_only=True)
        assert list(state) == ["state_dict", "epoch", "classnames", "backbone", "hashes", "optimizer", "scheduler"]
        assert state["epoch"] == 2 and state["backbone"] == "PhantomCLIP"
        assert state["classnames"] == trainer.dm.dataset.classnames and state["hashes"] == trainer.hashes
        assert state["optimizer"].keys() == trainer._optims[name].state_dict().keys()
        assert state["scheduler"]["last_epoch"] == trainer._scheds[name].state_dict()["last_epoch"]
    trainer.epoch = 2
    trainer.after_epoch()
    assert capsys.readouterr().out.count("Checkpoint") == 2
    for name in ("prompt_learner", "anchor_offsets"):
        assert epochs(folder / name) == {3}
        state = torch.load(folder / name / "model.pth.tar-3", weights_only=True)
        assert list(state) == ["state_dict", "epoch", "classnames", "backbone", "hashes"]
    assert torch.equal(learned(folder)["ctx"], ctx(trainer))


def test_one_epoch_is_always_there_in_full(build, monkeypatch):
    trainer = build("vMFCoOp")
    folder = Path(trainer.output_dir)
    trainer.save_model(0, str(folder))
    real = checkpoints.save

    def full_disk(state, path, quiet=False):
        if path.name == "anchor_offsets":
            raise OSError("the disk is full")
        real(state, path, quiet)

    monkeypatch.setattr(checkpoints, "save", full_disk)
    with pytest.raises(OSError, match="full"):
        trainer.save_model(1, str(folder))
    assert trainer.resume_model_if_exist(str(folder)) == 1


def test_resuming_brings_back_tensors_momentum_and_learning_rate(build, capsys, tmp_path):
    opts = (*BATCHES, "OPTIM.LR", 0.1, "TEST.NO_TEST", True, "OPTIM.MAX_EPOCH", 4)
    first = build("CoOp", *opts)
    first.train()
    unfinished = build("CoOp", *opts, output=tmp_path / "again")
    assert unfinished.resume_model_if_exist(unfinished.output_dir) == 0
    assert "Resuming" not in capsys.readouterr().out
    unfinished.max_epoch = 2  # it stops after the second of four
    unfinished.start_epoch = 0
    unfinished.before_train()
    for unfinished.epoch in range(2):
        unfinished.seed_epoch()
        unfinished.before_epoch()
        unfinished.run_epoch()
    unfinished.max_epoch = 4
    unfinished.after_epoch()
    second = build("CoOp", *opts, output=tmp_path / "again")
    second.before_train()
    assert f"Resuming from epoch 2 of 4 in {second.output_dir}\n" in capsys.readouterr().out
    assert second.start_epoch == 2 and torch.equal(ctx(second), ctx(unfinished))
    assert second.get_current_lr() == pytest.approx(0.05 * (1 + math.cos(math.pi / 4)))
    held = second._optims["prompt_learner"].state_dict()["state"][0]["momentum_buffer"]
    assert torch.equal(held, unfinished._optims["prompt_learner"].state_dict()["state"][0]["momentum_buffer"])
    second.train()
    assert torch.equal(ctx(second), ctx(first))


def test_a_run_resumes_from_the_folder_that_it_is_told(build, tmp_path):
    first = build("CoOp", "TEST.NO_TEST", True)
    first.train()
    second = build("CoOp", "TEST.NO_TEST", True, "RESUME", first.output_dir, output=tmp_path / "elsewhere")
    second.before_train()
    assert second.start_epoch == 3 and torch.equal(ctx(second), ctx(first))


def test_an_unfinished_run_of_other_settings_is_refused(build, tmp_path):
    first = build("CoOp", "TEST.NO_TEST", True)
    first.train()
    other = build("CoOp", "TEST.NO_TEST", True, "OPTIM.LR", 0.5)
    with pytest.raises(UserError, match="unfinished run of this kind, but it has other settings"):
        other.before_train()


def test_tensors_learned_with_another_backbone_of_the_same_name_are_not_tested(build):
    trainer = build("CoOp")
    trainer.train()
    trainer.hashes = trainer.hashes | {"backbone_files": "other"}
    with pytest.raises(UserError, match="was learned with other files of the backbone"):
        trainer.load_model(trainer.output_dir)


def test_what_was_learned_is_loaded_to_be_tested(build, capsys):
    first = build("vMFCoOp", "OPTIM.LR", 0.5, "TEST.NO_TEST", True)
    first.train()
    second = build("vMFCoOp")
    second.load_model(first.output_dir)
    assert torch.equal(ctx(second), ctx(first))
    assert f"Loaded prompt_learner of epoch 3 from {first.output_dir}\n" in capsys.readouterr().out
    assert not second.offsets.delta.any()  # which serves training alone
    assert first.learned == second.learned and (first.loaded, second.loaded) == (False, True)
    assert second.loaded_hashes == first.hashes
    assert second.learned == digest(newest(Path(first.output_dir) / "prompt_learner")) is not None
    second.load_model(first.output_dir, epoch=3)
    with pytest.raises(UserError, match=r"model\.pth\.tar-2, but only epochs \[3\] are there"):
        second.load_model(first.output_dir, epoch=2)


def test_a_checkpoint_of_another_backbone_or_other_shapes_is_refused(build, tiny):
    trainer = build("CoOp", "TEST.NO_TEST", True)
    trainer.train()
    longer = build("CoOp", "TRAINER.COOP.N_CTX", 5, "TRAINER.COOP.CTX_INIT", "")
    with pytest.raises(UserError, match=r"tensors \{'ctx': \(5, 12\)\}, but .* holds \{'ctx': \(4, 12\)\}"):
        longer.load_model(trainer.output_dir)
    tiny.name = "BiomedCLIP"
    with pytest.raises(UserError, match=r"learned with BiomedCLIP, but .*prompt_learner was learned with PhantomCLIP"):
        trainer.load_model(trainer.output_dir)


def test_what_is_bound_to_its_classes_does_not_meet_others(build):
    trainer = build("CoOp", "TRAINER.COOP.CSC", True, "TEST.NO_TEST", True)
    trainer.train()
    trainer.load_model(trainer.output_dir)
    trainer.dm.dataset = replaced(trainer, classnames=["a", "b", "c", "d"])
    with pytest.raises(UserError, match="CSC True cannot meet other classes"):
        trainer.load_model(trainer.output_dir)
    shared = build("CoOp", "TEST.NO_TEST", True)
    shared.train()
    shared.dm.dataset = replaced(shared, classnames=["a", "b", "c", "d"])
    shared.load_model(shared.output_dir)


# -------------------------------------------------------------------------------------------------------------- test


def test_a_test_predicts_every_image_of_the_split_without_augmentation(build, capsys):
    trainer = build("CoOp")
    items, grads = trainer.dm.dataset.test, []
    real = trainer.logits
    trainer.logits = lambda features: grads.append(torch.is_grad_enabled()) or real(features)
    trainer.prompt_learner.train()
    trainer.evaluator.process(torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([3]))  # left from another test
    accuracy = trainer.test()
    assert grads == [False] and not trainer.prompt_learner.training
    predicted = real(trainer.plain_features(items)).argmax(dim=1).tolist()
    right = sum(guess == item.label for guess, item in zip(predicted, items, strict=True))
    assert accuracy == pytest.approx(100 * right / 20)
    log = capsys.readouterr().out
    assert "Evaluate on the *test* set\n" in log and "* total: 20\n" in log
    rows = list(csv.DictReader((Path(trainer.output_dir) / "predictions.csv").open()))
    assert [str(trainer.dm.dataset.images / row["path"]) for row in rows] == [item.impath for item in items]
    assert [row["predicted"] for row in rows] == [trainer.dm.dataset.classnames[i] for i in predicted]
    assert record(Path(trainer.output_dir))["metrics"]["accuracy"] == pytest.approx(accuracy)


def test_validation_images_are_tested_where_that_is_asked_for(build, capsys):
    trainer = build("CoOp", "TEST.SPLIT", "val")
    trainer.test()
    assert "Evaluate on the *val* set\n" in capsys.readouterr().out
    assert record(Path(trainer.output_dir))["total"] == len(trainer.dm.dataset.val) == 8
    trainer.test("test")
    assert record(Path(trainer.output_dir))["total"] == 20
    trainer.dm.dataset = replaced(trainer, val=[])
    with pytest.raises(UserError, match="images in the val split of BTMRI, but it has none"):
        trainer.test()


def test_time_of_a_test_and_further_figures_are_in_the_record(build, monkeypatch):
    trainer = build("CoOp")
    clock = iter(range(100, 200, 7))
    monkeypatch.setattr(feature_trainer.time, "time", lambda: float(next(clock)))
    items = trainer.dm.dataset.test
    trainer.extra_metrics = lambda features, labels: {"mine": float(features.shape[0] + labels.sum())}
    trainer.test()
    found = record(Path(trainer.output_dir))
    assert found["seconds"]["test"] == 7.0
    assert found["metrics"]["mine"] == 20 + sum(item.label for item in items)
