"""Trainers of another checkout run unchanged on our data, leave our logs and results, and change nothing of ours."""

import csv
import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train
from dassl.engine import build_trainer
from dassl.errors import UserError
from datasets import phantoms
from datasets.phantoms.folder import Counts
from runs.config import configure
from tests.checkouts import small_checkout
from tests.conftest import CLASSES
from tests.run_folders import learned, record
from tests.watching import images, watching

TINY = "Tiny_PhantomCLIP"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return small_checkout.write(tmp_path_factory.mktemp("other") / "Small")


@pytest.fixture
def checkout_flags(flags, checkout):
    """`flags` of a run with the small checkout."""
    return lambda trainer, *opts, more=(), **kwargs: flags(trainer, *opts, more=("--with", checkout, *more), **kwargs)


def folder_of(output: Path, seed: int = 1, shots: int = 2, setting: str = "nctx4_cscFalse_ctpend") -> Path:
    setting = f"{setting}__OPTIM.MAX_EPOCH=3"  # of `flags`
    return output / "Small" / "btmri" / f"shots_{shots}" / TINY / setting / f"seed{seed}"


def import_state() -> tuple:
    """Return all that importing a checkout might change: modules, paths, working directory and finders."""
    roots = ("trainers", "clip", "open_clip", "datasets", "utils", "train")
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] in roots}
    return ours, list(sys.path), Path.cwd(), sys.dont_write_bytecode, list(sys.meta_path)


def test_a_run_on_phantoms_leaves_log_and_results_and_changes_nothing_of_ours(
    checkout_flags, checkout, backbone, tmp_path, monkeypatch
):
    few = Counts(train=4, val=1, test_total=12)
    monkeypatch.setattr(phantoms, "prepare", functools.partial(phantoms.prepare, counts=few, progress=False))
    monkeypatch.setattr("datasets.base.PHANTOM_ROOT", tmp_path / "phantoms")
    assert train.main(checkout_flags(TINY, root="phantoms", output=tmp_path / "warm-up")) == 0  # imports are done
    before, files = import_state(), small_checkout.contents(checkout)
    assert train.main(checkout_flags(TINY, root="phantoms")) == 0
    assert import_state() == before and small_checkout.contents(checkout) == files
    assert not any(str(checkout) in str(getattr(module, "__file__", "")) for module in before[0].values())

    folder = folder_of(tmp_path)
    found, log = record(folder), (folder / "log.txt").read_text()
    rows = list(csv.DictReader((folder / "predictions.csv").open()))
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert (found["total"], found["correct"]) == (len(rows), right) == (12, right)
    assert found["metrics"]["accuracy"] == pytest.approx(right / 12 * 100)
    assert {"auroc", "ece", "macro_f1", "balanced_accuracy", "per_class"} < found["metrics"].keys()
    expected = {"dataset": "BTMRI", "trainer": TINY, "backbone": "PhantomCLIP", "shots": 2, "seed": 1, "phantom": True}
    assert expected.items() <= found.items() and found["seconds"].keys() == {"start", "train", "test"}
    assert f"* accuracy: {found['metrics']['accuracy']:.2f}%" in log and "Finish training" in log
    assert f"code of {checkout}, as --with asks; its trainers: {TINY}, Silent_PhantomCLIP, " in log
    assert "Stray_PhantomCLIP; ours stay for CoOp, " in log
    assert "PHANTOMS" in log and "epoch [3/3]" in log and "clip is theirs" in log
    assert f"logit scale {backbone.logit_scale:.3f}, offset 0.5" in log  # our weights, where it asks the hub


def test_a_process_of_its_own_runs_a_checkouts_trainer(checkout_flags, tmp_path):
    """Nothing was imported before, which the tests around this one may have done for each other."""
    words = [sys.executable, "train.py", *checkout_flags(TINY)]
    done = subprocess.run(words, cwd=Path(train.__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder_of(tmp_path) / "metrics.json").is_file()


def test_the_folder_of_a_backbone_may_be_relative(checkout_flags, tmp_path, monkeypatch):
    shutil.copytree(Path(train.__file__).parent / "clip" / "phantomclip", tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    assert train.main(checkout_flags(TINY, backbone="local-dir:model")) == 0
    (file,) = tmp_path.rglob("metrics.json")
    assert record(file.parent)["backbone"] == "local-dir:model"


def test_a_checkouts_trainer_gets_our_data_sets_and_our_draws(build, checkout, capsys):
    ours, theirs = build("CoOp"), build(TINY, more=("--with", checkout))
    assert type(theirs.dm.dataset) is type(ours.dm.dataset)
    assert [item.impath for item in theirs.dm.dataset.train_x] == [item.impath for item in ours.train_items]


def test_of_two_trainers_of_one_name_ours_stays(checkout_flags, build, checkout, tmp_path):
    from trainers.coop import CoOp

    ours = build("CoOp", more=("--with", checkout))
    assert type(ours) is CoOp and "THEIRS" not in ours.settings and "CHECKOUT" not in ours.cfg
    assert train.main(checkout_flags("CoOp")) == 0
    (log,) = (tmp_path / "btmri").rglob("log.txt")
    assert "ours stay for CoOp" in log.read_text()


def test_seeds_run_one_after_the_other_as_alone(checkout_flags, tmp_path, capsys):
    assert train.main(checkout_flags(TINY, output=tmp_path / "several", more=("--seed", 1, 2))) == 0
    assert train.main(checkout_flags(TINY, output=tmp_path / "alone", seed=2)) == 0
    first, second = (folder_of(tmp_path / "several", seed) for seed in (1, 2))
    alone = folder_of(tmp_path / "alone", 2)
    assert torch.equal(learned(second, "pixels")["head.weight"], learned(alone, "pixels")["head.weight"])
    assert record(second)["metrics"] == record(alone)["metrics"]
    assert not torch.equal(learned(first, "pixels")["head.weight"], learned(alone, "pixels")["head.weight"])
    assert (first / "metrics.json").stat().st_mtime_ns < (second / "config.yaml").stat().st_mtime_ns


def test_a_seed_that_cannot_be_built_leaves_the_next_one_to_finish(checkout_flags, tmp_path, capsys, monkeypatch):
    def build(cfg):
        if cfg.SEED == 1:
            raise UserError("Expected another seed.")
        return build_trainer(cfg)

    monkeypatch.setattr("runs.run.build_trainer", build)
    assert train.main(checkout_flags(TINY, more=("--seed", 1, 2))) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err and err.count("error: ") == 1, err
    assert [(folder_of(tmp_path, seed) / "metrics.json").is_file() for seed in (1, 2)] == [False, True]


def test_its_defaults_and_its_yaml_files_are_read(checkout_flags, tmp_path):
    cfg = configure(train.parse(checkout_flags(TINY)), 1)
    assert (cfg.OPTIM.LR, cfg.TRAINER.TINY, cfg.TRAINER.COOP.THEIRS) == (0.0625, {"N_CTX": 4, "SIDE": 3}, True)
    assert "VMFCOOP" not in cfg.TRAINER and cfg.CHECKOUT.startswith("Small@")
    base = configure(train.parse(checkout_flags(TINY, more=("--setting", "base2new"))), 1)
    assert (base.OPTIM.LR, base.TRAINER.TINY.SIDE) == (0.125, 2)
    named = configure(train.parse(checkout_flags(TINY, "TRAINER.TINY.N_CTX", 8)), 1)
    assert Path(named.OUTPUT_DIR) == folder_of(tmp_path, setting="nctx8_cscFalse_ctpend")


def test_a_finished_run_is_left_alone_and_told_from_one_of_other_settings(checkout_flags, tmp_path, capsys):
    assert train.main(checkout_flags(TINY)) == 0
    assert train.main(checkout_flags(TINY)) == 0
    assert "Finished already" in capsys.readouterr().out
    parent, place = folder_of(tmp_path).parents[1], ("--output-dir", folder_of(tmp_path))
    for other, name in (
        (("TRAINER.TINY.SIDE", 1), "SIDE=1,"),
        (("TRAINER.COOP.N_CTX", 2), "N_CTX=2,"),
        (("OPTIM.LR", 0.5), "OPTIM.LR=0.5,"),
    ):
        configured = configure(train.parse(checkout_flags(TINY, *other)), 1)
        assert Path(configured.OUTPUT_DIR) == parent / f"nctx4_cscFalse_ctpend__{name}OPTIM.MAX_EPOCH=3" / "seed1"
        assert train.main(checkout_flags(TINY, *other, more=place)) == 1
        assert "its run had other settings" in capsys.readouterr().err


def test_an_unfinished_run_goes_on_but_not_with_other_settings(checkout_flags, tmp_path, capsys):
    line = functools.partial(checkout_flags, TINY, "TRAIN.CHECKPOINT_FREQ", 1)
    assert train.main(line()) == 0
    folder = folder_of(tmp_path)
    whole = torch.load(folder / "pixels" / "model.pth.tar-3", weights_only=True)["state_dict"]
    results = record(folder)["metrics"]
    for name in ("metrics.json", "pixels/model.pth.tar-2", "pixels/model.pth.tar-3"):
        (folder / name).unlink()
    (folder / "pixels" / "checkpoint").write_text("model.pth.tar-1\n")
    place = ("--output-dir", folder)
    assert train.main(checkout_flags(TINY, "TRAIN.CHECKPOINT_FREQ", 1, "OPTIM.LR", 0.5, more=place)) == 1
    assert "but it has other settings" in capsys.readouterr().err
    assert train.main(line()) == 0
    again = torch.load(folder / "pixels" / "model.pth.tar-3", weights_only=True)["state_dict"]
    assert torch.equal(again["head.weight"], whole["head.weight"]) and record(folder)["metrics"] == results
    assert (folder / "log.txt").read_text().count("epoch [1/3]") == 1


def test_a_pickled_checkpoint_is_not_loaded(checkout_flags, tmp_path, capsys):
    folder = folder_of(tmp_path) / "pixels"
    folder.mkdir(parents=True)
    torch.save({"state_dict": Path, "epoch": 1}, folder / "model.pth.tar-1")
    (folder / "checkpoint").write_text("model.pth.tar-1\n")
    assert train.main(checkout_flags(TINY)) == 1
    assert "holds pickled objects" in capsys.readouterr().err


def test_its_tensors_learned_on_base_classes_are_tested_on_novel_ones(checkout_flags, data_root, tmp_path):
    protocol, store = ("--setting", "base2new", "--subsample"), ("FEATURES.ROOT", tmp_path / "store")
    with watching() as happened:
        assert train.main(checkout_flags(TINY, *store, more=(*protocol, "base"))) == 0
        assert images(happened, data_root, CLASSES[:2]) and not images(happened, data_root, CLASSES[2:])
        happened.clear()
        assert train.main(checkout_flags(TINY, *store, more=(*protocol, "new", "--eval-only"))) == 0
    tested = happened.index("Evaluate on the *test* set")
    assert images(happened[tested:], data_root, CLASSES[2:]) and not images(happened[:tested], data_root, CLASSES[2:])
    found = {record(path.parent)["subsample"]: path.parent for path in tmp_path.rglob("metrics.json")}
    assert list(record(found["base"])["metrics"]["per_class"]) == ["glioma tumor", "meningioma tumor"]
    assert list(record(found["new"])["metrics"]["per_class"]) == ["pituitary tumor", "normal brain"]
    log = (found["new"] / "log.txt").read_text()
    assert f"Load {found['base']}/pixels/model.pth.tar-3" in log and "epoch [" not in log


def test_a_trainer_that_hides_its_scores_leaves_no_results(checkout_flags, tmp_path, capsys):
    assert train.main(checkout_flags("Silent_PhantomCLIP")) == 1
    assert "to give its evaluator the 20 images of the split in their order, but it gave 0" in capsys.readouterr().err
    assert not list(tmp_path.rglob("metrics.json"))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"train": None},
            r"Expected a CoOp-style checkout with trainers/ and train\.py in .*, but there is no train\.",
        ),
        (
            {"train": "import no_such_package\n"},
            r"ModuleNotFoundError: No module named 'no_such_package'; install",
        ),
        ({"train": "import trainers.Tiny.tiny\n"}, r"but AttributeError: module 'train' has no attribute 'extend_cfg'"),
        ({"utils": "raise SystemExit('stop')\n"}, r"but SystemExit: stop"),
    ],
)
def test_a_checkout_of_another_shape_is_named(tmp_path, capsys, changed, sentence):
    before = import_state()
    folder = small_checkout.write(tmp_path / "Broken", **changed)
    assert train.main(["--with", str(folder), "--trainer", TINY]) == 1
    error = capsys.readouterr().err
    assert re.search(sentence, error) and len(error.splitlines()) == 1
    assert import_state() == before


def test_a_folder_that_is_missing_is_named(tmp_path, capsys):
    assert train.main(["--with", str(tmp_path / "nowhere"), "--trainer", TINY]) == 1
    assert "but there is no trainers: give --with the folder that holds both" in capsys.readouterr().err
