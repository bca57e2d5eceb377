"""Trainers: a CoOp-style plugin from end to end, and the parts that it does not reach."""

import re
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from dassl.engine import SimpleTrainer, TrainerBase, TrainerX, build_trainer
from dassl.errors import DivergedError, UserError
from dassl.utils import load_checkpoint, set_random_seed, setup_logger


class Killed(Exception):
    """Raised to stop a run, as if it were killed."""


def run(cfg, kill_at=None, **options):
    """Seed and train as a train.py does; with `kill_at`, stop the run when that epoch begins."""
    cfg = cfg.clone()
    for key, value in options.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    trainer = build_trainer(cfg)
    if kill_at is not None:

        def before_epoch():
            if trainer.epoch == kill_at:
                raise Killed

        trainer.before_epoch = before_epoch
        with pytest.raises(Killed):
            trainer.train()
    else:
        trainer.train()
    return trainer


def final(cfg, folder, name="model.pth.tar-4"):
    return load_checkpoint(Path(folder) / "prompt_learner" / name)


def assert_same(a, b):
    """Check that two nested states are equal bit by bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


def test_a_run_learns_and_says_what_dassl_says(cfg, capsys, stdout_restored):
    setup_logger(cfg.OUTPUT_DIR)
    trainer = run(cfg, OPTIM__MAX_EPOCH=20, OPTIM__LR=0.1)
    log = Path(cfg.OUTPUT_DIR, "log.txt").read_text()
    assert log == capsys.readouterr().out
    lines = log.splitlines()
    for line in (
        "Loading trainer: ToyCoOp",
        "Loading dataset: ToySquares",
        "Creating a 4-shot dataset",
        "Loading evaluator: Classification",
        "No checkpoint found, train from scratch",
        f"Checkpoint saved to {cfg.OUTPUT_DIR}/prompt_learner/model.pth.tar-20",
        "Finish training",
        "Deploy the last-epoch model",
        "Evaluate on the *test* set",
        "=> result",
        "* total: 20",
    ):
        assert line in lines
    assert re.fullmatch(r"Elapsed: \d:\d\d:\d\d", lines[-1])
    accuracy = float(re.search(r"\* accuracy: (\d+\.\d\d)%", log).group(1))
    assert accuracy > 60  # chance is 25
    number = r"\d+\.\d{4}"
    pattern = (
        rf"epoch \[\d+/20\] batch \[[24]/4\] time \d+\.\d{{3}} \(\d+\.\d{{3}}\) data \d+\.\d{{3}} \(\d+\.\d{{3}}\) "
        rf"loss {number} \({number}\) acc {number} \({number}\) lr \d\.\d{{4}}e-\d\d eta \d:\d\d:\d\d"
    )
    epochs = [line for line in lines if line.startswith("epoch")]
    assert len(epochs) == 40
    assert all(re.fullmatch(pattern, line) for line in epochs)
    assert "lr 1.0000e-05" in epochs[0]
    losses = [float(re.search(r"loss \S+ \((\S+)\)", line).group(1)) for line in epochs]
    assert losses[-1] < 0.8 * losses[0]

    assert isinstance(trainer, TrainerX)
    assert (trainer.start_epoch, trainer.epoch, trainer.max_epoch) == (0, 19, 20)
    assert (trainer.batch_idx, trainer.num_batches, trainer.num_classes) == (3, 4, 4)
    assert trainer.lab2cname[0] == "red_square"
    assert trainer.output_dir == cfg.OUTPUT_DIR
    assert trainer.get_model_names() == ["prompt_learner"]


def test_few_batches_are_all_printed(cfg, capsys):
    run(cfg, TRAIN__PRINT_FREQ=10, OPTIM__MAX_EPOCH=1)
    assert len(re.findall(r"^epoch \[1/1\] batch \[[1234]/4\]", capsys.readouterr().out, re.M)) == 4


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("final_model", ["last_step", "best_val"])
def test_resumed_equals_uninterrupted(cfg, tmp_path, workers, final_model, capsys):
    options = {"DATALOADER__NUM_WORKERS": workers, "TRAIN__CHECKPOINT_FREQ": 2, "TEST__FINAL_MODEL": final_model}
    run(cfg, OUTPUT_DIR=str(tmp_path / "a"), **options)
    whole = capsys.readouterr().out
    run(cfg, OUTPUT_DIR=str(tmp_path / "b"), kill_at=3, **options)
    torch.rand(7)  # a new process starts in another state
    resumed = run(cfg, OUTPUT_DIR=str(tmp_path / "b"), **options)
    out = capsys.readouterr().out
    assert f"Found checkpoint at {tmp_path / 'b'} (will resume training)" in out
    assert resumed.start_epoch in (2, 3)
    assert_same(final(cfg, tmp_path / "a"), final(cfg, tmp_path / "b"))
    assert_same(*[final(cfg, tmp_path / name, "model.pth.tar-2") for name in "ab"])
    assert whole.split("=> result")[-1].split("Elapsed")[0] == out.split("=> result")[-1].split("Elapsed")[0]
    if final_model == "best_val":
        assert "Deploy the model with the best val performance" in out
        assert_same(*[final(cfg, tmp_path / name, "model-best.pth.tar") for name in "ab"])


def test_a_finished_run_is_not_trained_again(cfg, capsys):
    run(cfg)
    before = final(cfg, cfg.OUTPUT_DIR)
    capsys.readouterr()
    trainer = run(cfg)
    out = capsys.readouterr().out
    assert trainer.start_epoch == 4
    assert "epoch [" not in out
    assert "* accuracy:" in out
    assert_same(before, final(cfg, cfg.OUTPUT_DIR))


def test_resume_from_another_folder(cfg, tmp_path):
    run(cfg, OUTPUT_DIR=str(tmp_path / "a"), kill_at=2, TRAIN__CHECKPOINT_FREQ=1)
    trainer = run(cfg, OUTPUT_DIR=str(tmp_path / "b"), RESUME=str(tmp_path / "a"))
    assert trainer.start_epoch == 2
    assert (tmp_path / "b" / "prompt_learner" / "model.pth.tar-4").exists()


def test_seeds(cfg, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(cfg, OUTPUT_DIR=str(tmp_path / name), SEED=seed)
    a, b, c = (final(cfg, tmp_path / name)["state_dict"]["ctx"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_without_a_seed_runs_differ(cfg, tmp_path):
    for name in "ab":
        run(cfg, OUTPUT_DIR=str(tmp_path / name), SEED=-1)
    a, b = (final(cfg, tmp_path / name)["state_dict"]["ctx"] for name in "ab")
    assert not torch.equal(a, b)


def test_evaluation_only_with_the_plugins_load_model(cfg, capsys):
    trained = run(cfg)
    expected = trained.test()
    fresh = build_trainer(cfg)
    fresh.load_model(cfg.OUTPUT_DIR, epoch=4)
    assert fresh.test() == expected
    assert "Loading weights to prompt_learner" in capsys.readouterr().out
    assert torch.equal(fresh.model.prompt_learner.ctx, trained.model.prompt_learner.ctx)
    with pytest.raises(FileNotFoundError, match="model-best"):
        fresh.load_model(cfg.OUTPUT_DIR)


def test_initial_weights(cfg, tmp_path):
    run(cfg, OUTPUT_DIR=str(tmp_path / "a"))
    path = tmp_path / "a" / "prompt_learner" / "model.pth.tar-4"
    cfg.MODEL.INIT_WEIGHTS = str(path)
    assert torch.equal(build_trainer(cfg).model.prompt_learner.ctx, load_checkpoint(path)["state_dict"]["ctx"])


def test_splits_and_no_test(cfg, capsys):
    trainer = build_trainer(cfg)
    trainer.test(split="val")
    out = capsys.readouterr().out
    assert "Evaluate on the *val* set" in out
    assert "* total: 12" in out
    trainer.val_loader = None
    trainer.test(split="val")
    assert "Evaluate on the *test* set" in capsys.readouterr().out
    run(cfg, TEST__NO_TEST=True, TEST__FINAL_MODEL="best_val")
    out = capsys.readouterr().out
    assert "Finish training" in out
    assert "=> result" not in out


def test_evaluation_needs_no_gradient_and_is_in_eval_mode(cfg):
    trainer = build_trainer(cfg)
    seen = []
    trainer.model_inference = lambda x: (
        seen.append((torch.is_grad_enabled(), trainer.model.prompt_learner.training)) or (torch.zeros(len(x), 4))
    )
    trainer.set_model_mode("train")
    assert trainer.model.prompt_learner.training
    assert trainer.test() == 25.0
    assert seen == [(False, False)]


def test_no_gpu_is_no_obstacle(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cfg.USE_CUDA
    assert build_trainer(cfg).device == torch.device("cpu")


def test_deterministic_key(cfg, monkeypatch):
    calls = []
    monkeypatch.setattr("dassl.engine.trainer.set_deterministic", calls.append)
    build_trainer(cfg)
    assert calls == []
    cfg.DETERMINISTIC = True
    build_trainer(cfg)
    assert calls == [True]


def test_a_loss_that_is_not_finite_stops_the_run(cfg):
    trainer = build_trainer(cfg)
    trainer.detect_anomaly(torch.tensor([1.0, 2.0]))
    trainer.detect_anomaly({"sce": torch.tensor(1.0)})
    trainer.epoch, trainer.batch_idx = 2, 6
    with pytest.raises(DivergedError, match=r"the loss is \[nan\] in epoch 3, batch 7: lower OPTIM\.LR"):
        trainer.model_backward_and_update(torch.tensor(float("nan")))
    with pytest.raises(DivergedError, match=r"the loss term 'sc' is \[inf\]"):
        trainer.detect_anomaly({"anc": torch.tensor(1.0), "sc": torch.tensor(float("inf"))})


def test_curves_are_optional(cfg, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    run(cfg, OPTIM__MAX_EPOCH=1, OUTPUT_DIR=str(tmp_path / "a"))
    with pytest.raises(UserError, match=r"tensorboard .* not installed: pip install tensorboard"):
        run(cfg, TENSORBOARD=True, OUTPUT_DIR=str(tmp_path / "b"))

    points, closed = [], []

    class SummaryWriter:
        def __init__(self, log_dir):
            self.log_dir = log_dir

        def add_scalar(self, *point):
            points.append(point)

        def close(self):
            closed.append(self.log_dir)

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    run(cfg, TENSORBOARD=True, OPTIM__MAX_EPOCH=2, OUTPUT_DIR=str(tmp_path / "c"))
    assert closed == [str(tmp_path / "c" / "tensorboard")]
    assert [p[2] for p in points if p[0] == "train/loss"] == list(range(8))
    assert [p[0] for p in points if p[0].startswith("test/")] == ["test/accuracy", "test/error_rate", "test/macro_f1"]


class Pair(TrainerBase):
    """A trainer of two models that learn and one that does not, without data."""

    def __init__(self):
        super().__init__()
        for name in ("gen", "dis"):
            model = nn.Linear(1, 1)
            self.register_model(name, model, torch.optim.SGD(model.parameters(), lr=0.1), None)
        self.register_model("fixed", nn.Linear(1, 1))
        self.hooks = []

    def __getattribute__(self, name):
        if name in ("before_train", "before_epoch", "after_epoch", "after_train"):
            object.__getattribute__(self, "hooks").append(name)
        return object.__getattribute__(self, name)

    def run_epoch(self):
        self.hooks.append(f"epoch {self.epoch}")


def test_the_loop_calls_the_hooks_in_order():
    trainer = Pair()
    trainer.train(1, 3)
    per_epoch = [["before_epoch", f"epoch {epoch}", "after_epoch"] for epoch in (1, 2)]
    assert trainer.hooks == ["before_train", *per_epoch[0], *per_epoch[1], "after_train"]


def test_models_by_name():
    trainer = Pair()
    assert trainer.get_model_names() == ["gen", "dis", "fixed"]
    assert trainer.get_model_names("dis") == ["dis"]
    with pytest.raises(ValueError, match="model to be one of gen, dis, fixed, but got 'disc'"):
        trainer.get_model_names(["disc"])
    with pytest.raises(ValueError, match="'gen' is registered already"):
        trainer.register_model("gen")
    with pytest.raises(ValueError, match="model to register as 'new', but got None"):
        trainer.register_model("new")
    with pytest.raises(ValueError, match=r"mode to be one of .*'trane'"):
        trainer.set_model_mode("trane")
    trainer.set_model_mode("test", "gen")
    assert (trainer._models["gen"].training, trainer._models["dis"].training) == (False, True)
    gen, dis = (trainer._models[name].weight.clone() for name in ("gen", "dis"))
    loss = sum(trainer._models[name](torch.ones(1)).sum() for name in ("gen", "dis"))
    trainer.model_backward_and_update(loss, names="gen")
    assert torch.allclose(trainer._models["gen"].weight, gen - 0.1)
    assert torch.equal(trainer._models["dis"].weight, dis)
    assert trainer.get_current_lr("dis") == 0.1
    with pytest.raises(ValueError, match="optimiser of the model 'fixed'"):
        trainer.get_current_lr("fixed")
    trainer.update_lr()  # no scheduler: nothing to step


def test_checkpoints_of_several_models(tmp_path, capsys):
    trainer = Pair()
    assert trainer.resume_model_if_exist(tmp_path) == 0
    trainer.save_model(4, tmp_path, val_result=70.0)
    other = Pair()
    assert other.resume_model_if_exist(str(tmp_path)) == 5
    for name in other.get_model_names():
        assert torch.equal(other._models[name].weight, trainer._models[name].weight)
    trainer.save_model(5, tmp_path)
    (tmp_path / "dis" / "checkpoint").write_text("model.pth.tar-5\n")
    with pytest.raises(RuntimeError, match="'gen': 6, 'dis': 5"):
        other.resume_model_if_exist(tmp_path)
    (tmp_path / "fixed" / "checkpoint").unlink()
    assert other.resume_model_if_exist(tmp_path) == 0
    assert "No checkpoint found, train from scratch" in capsys.readouterr().out


def test_load_model_takes_the_epoch_or_the_best_or_the_newest(tmp_path, capsys):
    trainer = Pair()
    weights = []
    for epoch in range(3):
        with torch.no_grad():
            trainer._models["gen"].weight.fill_(epoch)
        trainer.save_model(epoch, tmp_path, val_result=None if epoch else 70.0)
    for epoch in (1, None):
        trainer.load_model(tmp_path, epoch=epoch)
        weights.append(trainer._models["gen"].weight.item())
    trainer.save_model(0, tmp_path, model_name="model-best.pth.tar", val_result=81.5)
    with torch.no_grad():
        trainer._models["gen"].weight.fill_(9)
    trainer.load_model(str(tmp_path))
    assert [*weights, trainer._models["gen"].weight.item()] == [0.0, 2.0, 2.0]
    assert f"Load {tmp_path}/gen/model-best.pth.tar to gen (epoch=1, val_result=81.5)" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"model\.pth\.tar-9"):
        trainer.load_model(tmp_path, epoch=9)
    trainer.load_model("")
    assert "load_model() is skipped" in capsys.readouterr().out


def test_what_a_subclass_must_define(cfg):
    base = TrainerBase()
    for call in (
        base.run_epoch,
        base.test,
        lambda: base.parse_batch_train({}),
        lambda: base.parse_batch_test({}),
        lambda: base.forward_backward({}),
        lambda: base.model_inference(None),
    ):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(NotImplementedError, match="SimpleTrainer to have build_model"):
        SimpleTrainer(cfg)


def test_default_training_batch_holds_the_domain(cfg):
    trainer = build_trainer(cfg)
    batch = next(iter(trainer.train_loader_x))
    image, label, domain = TrainerX.parse_batch_train(trainer, batch)
    assert torch.equal(image, batch["img"])
    assert torch.equal(label, batch["label"])
    assert domain.tolist() == [0, 0, 0, 0]
