"""Whole runs: what they leave behind, how they resume, what they say when something is wrong."""

import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

import train
from runs.config import configure
from runs.files import config_files
from runs.methods import CONFIGS
from runs.spec import RunSpec
from tests.run_folders import alike, learned, probabilities, record, run_folder
from trainers.base.checkpoints import epochs

ROOT = Path(train.__file__).parent


def test_a_run_leaves_log_results_predictions_and_a_small_checkpoint(flags, tmp_path, capsys):
    assert train.main(flags("vMFCoOp")) == 0
    folder = run_folder(tmp_path, "vMFCoOp")
    found = record(folder)
    rows = list(csv.DictReader((folder / "predictions.csv").open()))
    assert found["total"] == len(rows) == 20
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert found["correct"] == right
    assert found["metrics"]["accuracy"] == pytest.approx(right / 20 * 100)
    for row in rows:
        probabilities = [float(row[name]) for name in found["metrics"]["per_class"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
    expected = {"dataset": "BTMRI", "trainer": "vMFCoOp", "backbone": "PhantomCLIP", "shots": 2, "seed": 1}
    assert expected.items() <= found.items() and found["phantom"] is False
    log = (folder / "log.txt").read_text()
    assert "Finish training" in log and f"* accuracy: {found['metrics']['accuracy']:.2f}%" in log
    assert "epoch [3/3]" in log and all(term in log for term in ("sce", "anc", "sc "))
    (checkpoint,) = (folder / "prompt_learner").glob("model.pth.tar-*")
    state = torch.load(checkpoint, weights_only=True)
    assert state["epoch"] == 3 and state["backbone"] == "PhantomCLIP" and "optimizer" not in state
    assert state["state_dict"].keys() == {"ctx"}
    assert checkpoint.stat().st_size < state["state_dict"]["ctx"].numel() * 4 + 4096

    capsys.readouterr()
    before = (folder / "metrics.json").stat().st_mtime_ns
    assert train.main(flags("vMFCoOp")) == 0
    assert "Finished already" in capsys.readouterr().out
    assert (folder / "metrics.json").stat().st_mtime_ns == before
    found["hashes"]["config"] = "0" * 16  # as where a yaml file below configs/ was edited
    (folder / "metrics.json").write_text(json.dumps(found))
    assert train.main(flags("vMFCoOp")) == 1
    assert "its run had other settings" in capsys.readouterr().err


def test_a_log_begins_with_what_is_special_about_the_run(flags, tmp_path):
    """Not with all settings that there are: config.yaml has these."""
    assert train.main(flags("vMFCoOp", "OPTIM.MAX_EPOCH", 1, "TRAINER.VMFCOOP.TAU_MAX", 7, output=tmp_path)) == 0
    folder = run_folder(tmp_path, "vMFCoOp")
    log = (folder / "log.txt").read_text()
    settings, _, rest = log.partition("** System info **")
    assert len(settings.splitlines()) < 80 and "Loading trainer" in rest
    for line in ("TAU_MAX: 7", "LAMBDA_ANC: 1.0", "MAX_EPOCH: 1", "NAME: BTMRI", f"{folder / 'config.yaml'}"):
        assert line in settings
    assert "COCOOP" not in settings and "GN_STD" not in settings
    assert "COCOOP" in (folder / "config.yaml").read_text() and "GN_STD" in (folder / "config.yaml").read_text()


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_numbers(flags, tmp_path):
    trainer = "vMFCoOp"  # which keeps two modules; test_resume.py interrupts the others
    opts = ("OPTIM.MAX_EPOCH", 30, "DATALOADER.TRAIN_X.BATCH_SIZE", 4, "FEATURES.VIEWS", 2)
    line = flags(trainer, *opts)
    changed = "FEATURES.VIEWS=2,OPTIM.MAX_EPOCH=30"  # the size of a batch is the method's own
    folder, whole = (run_folder(place, trainer, changed=changed) for place in (tmp_path, tmp_path / "whole"))
    process = subprocess.Popen([sys.executable, "train.py", *line], cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.time() + 600  # a busy machine takes its time
    try:
        while max(epochs(folder / "prompt_learner"), default=0) < 3:
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    assert not (folder / "metrics.json").exists()
    assert train.main(line) == 0
    log = (folder / "log.txt").read_text()
    assert "Resuming from epoch" in log and "epoch [1/30]" in log and "epoch [30/30]" in log

    assert train.main(flags(trainer, *opts, output=tmp_path / "whole")) == 0
    assert "Resuming" not in (whole / "log.txt").read_text()
    assert torch.equal(learned(folder)["ctx"], learned(whole)["ctx"])
    assert record(folder)["metrics"] == record(whole)["metrics"]


def test_seeds_give_different_draws_and_the_same_seed_the_same_numbers(flags, tmp_path):
    for output, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert train.main(flags("CoOp", output=tmp_path / output, seed=seed)) == 0
    a, b, c = (learned(run_folder(tmp_path / o, "CoOp", seed=s))["ctx"] for o, s in (("a", 1), ("b", 1), ("c", 2)))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_half_written_folder_is_not_taken_for_finished(flags, tmp_path):
    folder = run_folder(tmp_path, "CoOp", changed="OPTIM.MAX_EPOCH=3")
    (folder / "prompt_learner").mkdir(parents=True)
    (folder / "log.txt").write_text("Finish training\n* accuracy: 99.00%\n")
    (folder / "metrics.json.part").write_text("{")
    assert train.main(flags("CoOp")) == 0
    assert record(folder)["total"] == 20
    assert (folder / "log.txt").read_text().startswith("Finish training")  # nothing is lost


def test_an_unfinished_run_of_other_settings_is_not_continued(flags, tmp_path, capsys):
    assert train.main(flags("CoOp")) == 0
    folder = run_folder(tmp_path, "CoOp")
    (folder / "metrics.json").unlink()
    assert train.main(flags("CoOp", "OPTIM.LR", 0.5, more=("--output-dir", folder))) == 1
    assert "but it has other settings" in capsys.readouterr().err


def test_a_non_finite_loss_names_its_term_and_keeps_the_last_good_epoch(flags, tmp_path, capsys, monkeypatch):
    from trainers import vmfcoop

    real, calls = vmfcoop.spherical_contrastive_loss, []

    def broken(*args):
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) > 4 else 1.0)

    monkeypatch.setattr(vmfcoop, "spherical_contrastive_loss", broken)
    assert train.main(flags("vMFCoOp", "DATALOADER.TRAIN_X.BATCH_SIZE", 4)) == 1
    assert "sc is nan at epoch 3, batch 1" in capsys.readouterr().err
    folder = run_folder(tmp_path, "vMFCoOp")
    assert not (folder / "metrics.json").exists()
    assert [p.name for p in (folder / "prompt_learner").glob("model*")] == ["model.pth.tar-2"]
    monkeypatch.undo()
    assert train.main(flags("vMFCoOp", "DATALOADER.TRAIN_X.BATCH_SIZE", 4)) == 0
    assert "Resuming from epoch 2 of 3" in (folder / "log.txt").read_text()


@pytest.mark.parametrize("trainer", ["vMFCoOp", "ZeroshotCLIP"])
def test_base_to_novel(flags, tmp_path, trainer):
    protocol = ("--setting", "base2new", "--subsample")
    opts = ("OPTIM.MAX_EPOCH", 3 if trainer == "vMFCoOp" else 0)
    assert train.main(flags(trainer, *opts, more=(*protocol, "base"))) == 0
    assert train.main(flags(trainer, *opts, more=(*protocol, "new", "--eval-only"))) == 0
    base = record(run_folder(tmp_path / "base2new" / "train_base", trainer))
    new = record(run_folder(tmp_path / "base2new" / "test_new", trainer))
    assert list(base["metrics"]["per_class"]) == ["glioma tumor", "meningioma tumor"]
    assert list(new["metrics"]["per_class"]) == ["pituitary tumor", "normal brain"]
    assert (base["subsample"], new["subsample"], base["total"], new["total"]) == ("base", "new", 10, 10)


def test_base_to_novel_by_an_option_of_the_configuration(flags, tmp_path):
    """As CoOp's scripts write it: DATASET.SUBSAMPLE_CLASSES at the end of the line."""
    for part, more in {"base": (), "new": ("--eval-only",)}.items():
        line = flags("CoOp", "DATASET.SUBSAMPLE_CLASSES", part, more=("--setting", "base2new", *more))
        assert train.main(line) == 0
    assert record(run_folder(tmp_path / "base2new" / "test_new", "CoOp"))["subsample"] == "new"


def test_a_context_per_class_cannot_meet_other_classes(flags, tmp_path, capsys):
    opts = ("TRAINER.COOP.CSC", True)
    assert train.main(flags("CoOp", *opts)) == 0
    ctx = run_folder(tmp_path, "CoOp").parents[1] / "nctx4_cscTrue_ctpend__OPTIM.MAX_EPOCH=3" / "seed1"
    more = ("--subsample", "base", "--eval-only", "--model-dir", ctx, "--output-dir", tmp_path / "x")
    assert train.main(flags("CoOp", *opts, more=more)) == 1
    assert "CSC True cannot meet other classes" in capsys.readouterr().err
    protocol = ("--setting", "base2new", "--subsample")  # two base and two novel classes: tensors of the same shape
    assert train.main(flags("CoOp", *opts, more=(*protocol, "base"))) == 0
    assert train.main(flags("CoOp", *opts, more=(*protocol, "new", "--eval-only"))) == 1
    assert "CSC True cannot meet other classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"root": "nowhere"}, r"BTMRI"),
        ({"dataset": "brains"}, r"Expected data set to be one of .*btmri.*kvasir.* got 'brains'"),
        ({"shots": 16}, r"16.*6"),
        ({"backbone": "biomedclip"}, r"BiomedCLIP.*got 'biomedclip': did you mean 'BiomedCLIP'\?"),
    ],
)
def test_mistakes_end_in_one_sentence(flags, capsys, change, sentence):
    assert train.main(flags("CoOp", **change)) == 1
    err = capsys.readouterr().err
    assert re.search(sentence, err, re.DOTALL) and "Traceback" not in err
    assert err.startswith("error: ") and err.count("\n") == 1


def test_a_mistyped_data_set_is_told_even_if_a_file_names_one(flags, tmp_path, capsys):
    """Runs are kept under what --dataset says."""
    (tmp_path / "mine.yaml").write_text("DATASET:\n  NAME: BTMRI\n")
    more = ("--dataset-config-file", tmp_path / "mine.yaml")
    assert train.main(flags("CoOp", dataset="brains", more=more)) == 1
    assert "got 'brains'" in capsys.readouterr().err


def test_places_may_be_paths(tmp_path):
    spec = RunSpec("CoOp", "btmri", root=tmp_path, output_dir=tmp_path / "run", resume=tmp_path / "before")
    cfg = configure(spec)
    assert str(tmp_path / "run") == cfg.OUTPUT_DIR
    assert str(tmp_path / "before") == cfg.RESUME


def test_an_unknown_trainer_and_a_missing_checkpoint(flags, tmp_path, capsys):
    assert train.main(flags("CoOpp")) == 1
    err = capsys.readouterr().err
    assert "vMFCoOp" in err and "but got 'CoOpp'" in err
    assert "short name is one of" in err and "vmfcoop" in err and "in a file trainers/coopp.py (README" in err
    more = ("--eval-only", "--seed", 1, 2, "--model-dir")
    assert train.main(flags("CoOp", more=(*more, tmp_path / "none"))) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: Expected the folder of a run in --model-dir, but there is no ")
    assert len(err.splitlines()) == 1 and not run_folder(tmp_path, "CoOp").exists(), "at once, for all seeds"
    assert train.main(flags("CoOp", more=(*more, tmp_path))) == 1
    assert f"in {tmp_path}, but prompt_learner/ there has no checkpoint: train first" in capsys.readouterr().err


def test_two_processes_do_not_share_a_run(flags, tmp_path, capsys):
    folder = run_folder(tmp_path, "CoOp", changed="OPTIM.MAX_EPOCH=3")
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        assert train.main(flags("CoOp")) == 1
    assert "another process is working on" in capsys.readouterr().err


def test_views_of_the_support_set(build):
    trainer = build("CoOp", "TRAINER.COOP.VIEWS", "many", "FEATURES.VIEWS", 2, "OPTIM.MAX_EPOCH", 5)
    first, second, third = (trainer.train_features(epoch) for epoch in range(3))
    assert torch.equal(first, third) and not torch.equal(first, second)
    fresh = build("CoOp", "TRAINER.COOP.VIEWS", "many", "OPTIM.MAX_EPOCH", 5)
    views = [fresh.train_features(epoch) for epoch in range(5)]
    assert torch.equal(views[0], first) and torch.equal(views[1], second)
    assert len({float(v.sum()) for v in views}) == 5


def test_batches_follow_from_seed_and_epoch_alone(build):
    trainer = build("CoOp", "DATALOADER.TRAIN_X.BATCH_SIZE", 3)

    def batches(epoch: int) -> list[list[int]]:
        trainer.epoch = epoch
        trainer.seed_epoch()
        trainer.before_epoch()
        return [batch["index"].tolist() for batch in trainer.train_loader_x]

    once = batches(2)
    assert batches(1) != once == batches(2)
    assert len(once) == len(trainer.train_loader_x) == 2  # 8 images: the last two do not fill a batch
    assert sorted(i for batch in once for i in batch) != once
    # the order of epoch 2 under seed 1, as all versions have had it
    generator = torch.Generator().manual_seed(1_000_003 + 2)
    assert once == torch.randperm(8, generator=generator)[:6].view(2, 3).tolist()


def test_config_files_merge_from_the_general_to_the_particular():
    names = [str(p.relative_to(CONFIGS)) for p in config_files(RunSpec("BiomedCoOp", "btmri", 16))]
    trainer = "trainers/BiomedCoOp/few_shot"
    assert names == ["common.yaml", f"{trainer}.yaml", "datasets/btmri.yaml", f"{trainer}/btmri.yaml", "shots/16.yaml"]


@pytest.mark.parametrize("trainer", ["vMFCoOp", "BiomedCoOp", "ZeroshotCLIP"])
def test_seeds_together_learn_what_they_learn_alone(flags, tmp_path, trainer):
    opts = ("OPTIM.MAX_EPOCH", 0 if trainer == "ZeroshotCLIP" else 8, "DATALOADER.TRAIN_X.BATCH_SIZE", 4)
    for seed in (1, 2, 3):
        assert train.main(flags(trainer, *opts, output=tmp_path / "alone", seed=seed)) == 0
    assert train.main(flags(trainer, *opts, output=tmp_path / "together", more=("--seed", 1, 2, 3))) == 0
    for seed in (1, 2, 3):
        alone, together = (run_folder(tmp_path / output, trainer, seed=seed) for output in ("alone", "together"))
        assert record(together)["metrics"].keys() == record(alone)["metrics"].keys()
        if trainer == "ZeroshotCLIP":
            assert torch.allclose(probabilities(together), probabilities(alone), atol=1e-3, rtol=0)
        else:
            assert alike(together, alone)
            log, other = ((folder / "log.txt").read_text() for folder in (together, alone))
            assert log.count("epoch [") == other.count("epoch [") == 8
            assert f"Setting fixed seed: {seed}" in log and log.count("Setting fixed seed") == 1


def test_a_seed_that_fails_leaves_the_others_to_finish(flags, tmp_path, capsys, monkeypatch):
    from trainers import vmfcoop

    real = vmfcoop.vMFCoOp.loss

    def broken(self, features, labels, prompts):
        logits, terms = real(self, features, labels, prompts)
        bad = self.cfg.SEED == 2 and self.epoch == 1
        return logits, terms | {"sc": terms["sc"] * (float("nan") if bad else 1.0)}

    monkeypatch.setattr(vmfcoop.vMFCoOp, "loss", broken)
    assert train.main(flags("vMFCoOp", more=("--seed", 1, 2, 3))) == 1
    assert "sc is nan at epoch 2, batch 1" in capsys.readouterr().err
    folders = {seed: run_folder(tmp_path, "vMFCoOp", seed=seed) for seed in (1, 2, 3)}
    assert [(folder / "metrics.json").exists() for folder in folders.values()] == [True, False, True]
    assert "DivergedError" in (folders[2] / "log.txt").read_text()
    assert "DivergedError" not in (folders[1] / "log.txt").read_text()
    monkeypatch.undo()
    assert train.main(flags("vMFCoOp", more=("--seed", 1, 2, 3))) == 0
    assert "Finished already" in capsys.readouterr().out
    assert "Resuming from epoch 1 of 3" in (folders[2] / "log.txt").read_text()
    assert train.main(flags("vMFCoOp", output=tmp_path / "whole", seed=2)) == 0
    assert alike(folders[2], run_folder(tmp_path / "whole", "vMFCoOp", seed=2))


def test_the_test_of_one_seed_is_no_part_of_anothers_training(flags, tmp_path, monkeypatch, tiny):
    from trainers.base import feature_trainer

    now, evaluate = [0.0], feature_trainer.evaluate

    def slow(*args):
        now[0] += 90.0
        return evaluate(*args)

    monkeypatch.setattr(feature_trainer.time, "time", lambda: now[0])
    monkeypatch.setattr(feature_trainer, "evaluate", slow)
    assert train.main(flags("CoOp", more=("--seed", 1, 2))) == 0
    assert [record(run_folder(tmp_path, "CoOp", seed=seed))["seconds"]["train"] for seed in (1, 2)] == [0.0, 0.0]


def test_settings_may_follow_the_seeds():
    spec = train.parse(["--trainer", "CoOp", "--seed", "1", "2", "2", "OPTIM.LR", "0.1"])
    assert spec.seeds == (1, 2) and spec.options == (("OPTIM.LR", "0.1"),)
    assert train.parse(["--trainer", "CoOp"]).seeds == ()


def test_a_specification_with_lists_can_be_a_key():
    options = {"INPUT.PIXEL_MEAN": [0, 0, 0], "INPUT.TRANSFORMS": [["a"], "b"]}
    spec = RunSpec("CoOp", "btmri", 1, options=options)
    assert {spec: 1}[RunSpec("CoOp", "btmri", 1, options=list(options.items()))] == 1
    assert dict(spec.options)["INPUT.TRANSFORMS"] == (("a",), "b")
    del options["INPUT.TRANSFORMS"]
    assert configure(RunSpec("CoOp", "btmri", 1, root="x", options=options), 1).INPUT.PIXEL_MEAN == [0.0, 0.0, 0.0]
