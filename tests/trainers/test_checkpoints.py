"""Checkpoints of a run: what they hold, how it is resumed, and which are refused."""

import math
from pathlib import Path

import pytest
import torch

from dassl.errors import UserError
from tests.run_folders import learned
from tests.trainers.helpers import BATCHES, ctx, replaced
from trainers.base import checkpoints
from trainers.base.checkpoints import digest, epochs, newest

pytestmark = pytest.mark.usefixtures("tiny")


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
    assert "\nResuming from epoch 2 of 4\n" in capsys.readouterr().out
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
    other = build("CoOp", "TEST.NO_TEST", True, "OPTIM.LR", 0.5, more=("--output-dir", first.output_dir))
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
