"""Checkpoints: layout, plain content, atomic writing, loading."""

import os
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from dassl.config import get_cfg_default
from dassl.errors import UserError
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint, load_pretrained_weights, resume_from_checkpoint, save_checkpoint


def trained(name="sgd", steps=3):
    """Return a small model after some steps, with its optimiser and scheduler."""
    torch.manual_seed(0)
    cfg = get_cfg_default().OPTIM
    cfg.merge_from_list(["NAME", name, "LR", 0.1, "LR_SCHEDULER", "cosine", "WARMUP_EPOCH", 1])
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optim = build_optimizer(model, cfg)
    sched = build_lr_scheduler(optim, cfg)
    for _ in range(steps):
        step(model, optim, sched)
    return model, optim, sched


def step(model, optim, sched):
    optim.zero_grad()
    model(torch.arange(12.0).view(4, 3)).pow(3).sum().backward()
    optim.step()
    sched.step()


def state_of(model, optim, sched, epoch=3):
    return {
        "state_dict": model.state_dict(),
        "epoch": epoch,
        "optimizer": optim.state_dict(),
        "scheduler": sched.state_dict(),
        "val_result": np.float64(77.5),
    }


def test_layout_and_lines(tmp_path, capsys):
    parts = trained()
    save_checkpoint(state_of(*parts), tmp_path / "m", is_best=True)
    save_checkpoint(state_of(*parts, epoch=5), str(tmp_path / "m"))
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "checkpoint",
        "model-best.pth.tar",
        "model.pth.tar-3",
        "model.pth.tar-5",
    ]
    assert (tmp_path / "m" / "checkpoint").read_text() == "model.pth.tar-5\n"
    assert capsys.readouterr().out.splitlines() == [
        f"Checkpoint saved to {tmp_path}/m/model.pth.tar-3",
        f"Best checkpoint saved to {tmp_path}/m/model-best.pth.tar",
        f"Checkpoint saved to {tmp_path}/m/model.pth.tar-5",
    ]
    assert load_checkpoint(tmp_path / "m" / "model-best.pth.tar")["epoch"] == 3


@pytest.mark.parametrize("name", ["sgd", "adam", "amsgrad", "adamw", "radam", "rmsprop"])
def test_resume_is_exact(tmp_path, name):
    reference = trained(name, steps=6)
    interrupted = trained(name, steps=3)
    save_checkpoint(state_of(*interrupted), tmp_path)
    resumed = trained(name, steps=1)
    assert resume_from_checkpoint(tmp_path, *resumed) == 3
    for _ in range(3):
        step(*resumed)
    for key, value in reference[0].state_dict().items():
        assert torch.equal(value, resumed[0].state_dict()[key]), key
    assert resumed[1].param_groups[0]["lr"] == reference[1].param_groups[0]["lr"] != 0.1
    assert resumed[2].state_dict() == reference[2].state_dict()


def test_resume_of_weights_only(tmp_path, capsys):
    model, optim, sched = trained()
    save_checkpoint({**state_of(model, optim, sched), "optimizer": None, "scheduler": None}, tmp_path)
    other, other_optim, other_sched = trained(steps=0)
    before = other_sched.state_dict()
    capsys.readouterr()
    assert resume_from_checkpoint(tmp_path, other, other_optim, other_sched) == 3
    assert "Loaded optimizer" not in capsys.readouterr().out
    assert torch.equal(other[0].weight, model[0].weight)
    assert other_sched.state_dict() == before


def test_content_is_plain(tmp_path):
    big = torch.zeros(100_000)
    save_checkpoint(
        {
            "state_dict": {"module.ctx": nn.Parameter(torch.ones(2)), "view": big[:3]},
            "epoch": np.int64(2),
            "val_result": np.float64(0.5),
            "array": np.arange(3),
            "nested": [{"betas": (0.9, 0.999)}, "text", None, True],
        },
        tmp_path,
    )
    loaded = torch.load(tmp_path / "model.pth.tar-2", weights_only=True)
    assert list(loaded["state_dict"]) == ["ctx", "view"]
    assert type(loaded["state_dict"]["ctx"]) is torch.Tensor
    assert (type(loaded["epoch"]), type(loaded["val_result"])) == (int, float)
    assert loaded["array"].tolist() == [0, 1, 2]
    assert loaded["nested"] == [{"betas": (0.9, 0.999)}, "text", None, True]
    assert (tmp_path / "model.pth.tar-2").stat().st_size < 10_000


def test_objects_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"but got Linear in state\['head'\]\[1\]"):
        save_checkpoint({"state_dict": {}, "epoch": 1, "head": [1, nn.Linear(1, 1)]}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_prefix_module_can_be_kept(tmp_path):
    save_checkpoint({"state_dict": {"module.w": torch.ones(1)}, "epoch": 1}, tmp_path, remove_module_from_keys=False)
    assert list(load_checkpoint(tmp_path / "model.pth.tar-1")["state_dict"]) == ["module.w"]


@pytest.mark.parametrize("crash_at", [1, 2], ids=["model", "pointer"])
def test_a_crash_between_write_and_rename_can_be_resumed(tmp_path, monkeypatch, crash_at):
    model, optim, sched = trained()
    save_checkpoint(state_of(model, optim, sched, epoch=3), tmp_path)
    calls = []
    replace = os.replace

    def crash(source, target):
        calls.append(target.name)
        if len(calls) == crash_at:
            raise OSError("the machine stopped here")
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="stopped here"):
        save_checkpoint(state_of(model, optim, sched, epoch=4), tmp_path)
    assert calls == ["model.pth.tar-4", "checkpoint"][:crash_at]
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]
    other, _, _ = trained(steps=0)
    assert resume_from_checkpoint(tmp_path, other) == 3
    assert torch.equal(other[0].weight, model[0].weight)


class Innocent:
    pass


def test_unusable_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"model\.pth\.tar-9, but there is no file: check the folder"):
        load_checkpoint(tmp_path / "model.pth.tar-9")
    with pytest.raises(UserError, match="got None"):
        load_checkpoint(None)
    torch.save({"state_dict": {}, "scheduler": Innocent()}, tmp_path / "objects")
    with pytest.raises(ValueError, match="objects, but it holds pickled objects"):
        load_checkpoint(tmp_path / "objects")
    save_checkpoint({"state_dict": {"w": torch.ones(100)}, "epoch": 1}, tmp_path)
    whole = (tmp_path / "model.pth.tar-1").read_bytes()
    for name, content in (("half", whole[: len(whole) // 2]), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}, but it is (damaged|empty)"):
            load_checkpoint(tmp_path / name)


def test_a_pointer_of_git_lfs_is_told_from_damage(tmp_path):
    (tmp_path / "model.pth.tar-1").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 783\n")
    with pytest.raises(UserError, match=r"model\.pth\.tar-1, but it is a Git LFS pointer .*: run `git lfs pull`"):
        load_checkpoint(tmp_path / "model.pth.tar-1")


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "trap").write_bytes(pickle.dumps(Trap(), protocol=2))
    torch.save({"x": Trap()}, tmp_path / "trap2")
    for name in ("trap", "trap2"):
        with pytest.raises(ValueError, match=name):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_pretrained_weights_that_fit_are_loaded(tmp_path, capsys):
    source = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 5))
    save_checkpoint({"state_dict": nn.DataParallel(source).state_dict(), "epoch": 1}, tmp_path)
    target = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4))
    kept = target[1].weight.clone()
    load_pretrained_weights(target, tmp_path / "model.pth.tar-1")
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[1].weight, kept)
    out = capsys.readouterr().out
    assert f"Successfully loaded pretrained weights from {tmp_path}/model.pth.tar-1" in out
    assert "unmatched keys or size: ['1.weight', '1.bias']" in out


def test_pretrained_weights_that_do_not_fit(tmp_path):
    torch.save({"other": torch.ones(1)}, tmp_path / "bare")
    model = nn.Linear(2, 2)
    before = model.weight.clone()
    with pytest.warns(UserWarning, match="Nothing in .*bare fits the model"):
        load_pretrained_weights(model, tmp_path / "bare")
    assert torch.equal(model.weight, before)
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "bare")
    load_pretrained_weights(model, tmp_path / "bare")
    assert not torch.equal(model.weight, before)
