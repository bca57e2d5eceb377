"""The construction of a trainer: its backbone, its parameters, what it prints and its digests."""

import math
import os
import types
from pathlib import Path

import pytest
import torch

from datasets.base import PHANTOM_NOTICE
from tests.trainers.helpers import BATCHES, ctx, replaced
from trainers.base.digests import config_digest, training_digests
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.text_features import TEMPLATE
from trainers.zeroshot import ZeroshotCLIP

pytestmark = pytest.mark.usefixtures("tiny")


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
    assert build("CoOp").store.root == Path(os.environ["VMFCOOP_CACHE"])


def test_the_backbone_says_what_its_pixels_are(build):
    cfg = build("CoOp", "INPUT.SIZE", (100, 100)).cfg
    assert tuple(cfg.INPUT.SIZE) == (8, 8) and cfg.INPUT.INTERPOLATION == "bilinear"
    assert (list(cfg.INPUT.PIXEL_MEAN), list(cfg.INPUT.PIXEL_STD)) == ([0.4, 0.5, 0.6], [0.3, 0.2, 0.1])
    assert cfg.is_frozen()


def test_training_images_are_augmented_and_test_images_are_not(build):
    trainer = build("CoOp", "TRAINER.COOP.VIEWS", "many")
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


def test_the_title_of_zero_shot_says_its_prompt():
    assert f'"{TEMPLATE}"' in ZeroshotCLIP.title and ZeroshotCLIP.defaults().TEMPLATE == TEMPLATE


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
        trainer = build("CoOp", *noise, "SEED", seed)
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
        **training_digests(trainer.cfg, trainer.dm.dataset),
    }
    assert trainer.sentences[0] == 50 and len(trainer.sentences[1]) == 16
    coop = build("CoOp")
    assert coop.sentences == (0, None) and coop.hashes["support"] == trainer.hashes["support"]
    assert coop.hashes["config"] != trainer.hashes["config"]
