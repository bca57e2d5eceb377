"""What tests of all rooms share: a miniature BTMRI in the real layout, and runs of it.

No test sees a GPU, so that all machines test the same, unless VMFCOOP_TEST_GPU=1 asks for those that need one.
"""

import json
import os
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

import train

ROOT = Path(__file__).parents[1]
ASKED = os.environ.get("VMFCOOP_TEST_GPU") == "1"

os.environ.pop("COLUMNS", None)  # xdist sets it, and a table that is wider would be split

if not ASKED:  # before PyTorch is imported
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

# No test is a matter of time, or of how many inputs a strategy happens to leave out.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.load_profile("untimed")

CLASSES = ["glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain"]
COUNTS = {"train": 6, "val": 3, "test": 5}


@pytest.fixture(scope="session")
def backbone():
    from clip import build_backbone

    return build_backbone("PhantomCLIP")


@pytest.fixture(scope="session")
def data_root(tmp_path_factory) -> Path:
    """A BTMRI of noisy grey images, each class with its own brightness."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    split = {}
    for part, count in COUNTS.items():
        split[part] = []
        for label, name in enumerate(CLASSES):
            folder = root / "BTMRI" / "BTMRI" / name.replace(" ", "_")
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = rng.normal(40 + 50 * label, 12, (64, 64)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).convert("RGB").save(folder / f"{part}{i}.png")
                split[part].append([f"{folder.name}/{part}{i}.png", label, name])
    (root / "BTMRI" / "split_BTMRI.json").write_text(json.dumps(split))
    return root


@pytest.fixture(scope="session", autouse=True)
def own_store(tmp_path_factory):
    """Keep the user's feature store out of the tests."""
    before = os.environ.get("VMFCOOP_CACHE")
    os.environ["VMFCOOP_CACHE"] = str(tmp_path_factory.mktemp("store"))
    yield
    if before is None:
        del os.environ["VMFCOOP_CACHE"]
    else:
        os.environ["VMFCOOP_CACHE"] = before


@pytest.fixture
def tiny(monkeypatch):
    """A backbone in memory in the place of the one that runs load; `calls` are the arguments that it was asked with."""
    from tests.tiny_backbone import TinyBackbone
    from trainers.base import backbones

    backbone = TinyBackbone()
    backbone.calls = []

    def answer(*args):
        backbone.calls.append(args)
        return backbone

    monkeypatch.setattr(backbones, "build_backbone", answer)
    backbones.load_backbone.cache_clear()
    yield backbone
    backbones.load_backbone.cache_clear()


@pytest.fixture
def flags(data_root, tmp_path):
    """`flags(trainer, key, value, ...)`: the command line of a run of two shots and three epochs."""

    def make(trainer: str, *opts, output=tmp_path, more=(), **flags) -> list[str]:
        given = {"root": data_root, "backbone": "PhantomCLIP", "dataset": "btmri", "shots": 2, "seed": 1} | flags
        line = [word for name, value in given.items() for word in (f"--{name}", value)]
        line += ["--trainer", trainer, "--output", output, *more]
        return [str(word) for word in (*line, "OPTIM.MAX_EPOCH", 3, "DATALOADER.NUM_WORKERS", 0, *opts)]

    return make


@pytest.fixture
def build(flags):
    """`build(trainer, key, value, ...)`: the trainer object of a run, ready to train."""

    def make(trainer: str, *opts, **kwargs):
        from dassl.engine import build_trainer
        from dassl.utils import set_random_seed
        from runs.run import Run

        spec = train.parse(flags(trainer, *opts, **kwargs))
        run = Run(spec, *spec.seeds)
        set_random_seed(run.cfg.SEED)
        run.trainer = build_trainer(run.cfg)
        run.trainer.on_test = run.write
        run.trainer.epoch = 0
        run.trainer.seed_epoch()
        return run.trainer

    return make


@pytest.fixture
def calls(tmp_path):
    """calls(script, *words, **environment) -> command lines of `python` that a script runs, carrying out none."""

    def run(script, *words, **environment):
        stub, log = tmp_path / "bin" / "python", tmp_path / "calls"
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
        stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
        path = f"{stub.parent}{os.pathsep}{os.environ['PATH']}"
        env = {"PATH": path, "NO_VENV": "1", "DATA": "data"} | environment
        subprocess.run(["bash", str(ROOT / "scripts" / script), *words], env=env, check=True, capture_output=True)
        return log.read_text().splitlines()

    return run


@pytest.fixture
def write_run(tmp_path):
    """write_run(dataset, shots, trainer, seed, accuracy, ...) -> finished run folder below tmp_path/output.

    `root` lies between the two, such as "base2new/train_base"; `terms` (L_SCE, L_anc, L_sc) go into config.yaml,
    `context` is the folder above the seed's, and whatever else is named goes into metrics.json.
    """

    def write(dataset="btmri", shots=16, trainer="vMFCoOp", seed=1, accuracy=77.0, root="", terms=None, **more) -> Path:
        backbone = more.pop("backbone", "PhantomCLIP")
        context = more.pop("context", "nctx4_cscFalse_ctpend")
        folder = Path(f"{trainer}_{backbone}".replace(":", "-").replace("/", "-"), context)
        run = tmp_path / "output" / root / dataset / f"shots_{shots}" / folder / f"seed{seed}"
        run.mkdir(parents=True)
        if terms is not None:
            sce, anc, sc = terms
            node = {"SCE": bool(sce), "LAMBDA_ANC": 0.5 * anc, "LAMBDA_SC": 2.0 * sc}
            (run / "config.yaml").write_text(json.dumps({"TRAINER": {"NAME": trainer, "VMFCOOP": node}}))
        metrics = {"accuracy": accuracy, "macro_f1": accuracy - 2, "balanced_accuracy": accuracy - 1}
        metrics |= {"auroc": 93.5, "ece": 4.25, "per_class": {"glioma tumor": 80.123}}
        document = {"dataset": dataset.upper(), "phantom": True, "trainer": trainer, "backbone": backbone}
        document |= {"shots": shots, "seed": seed, "subsample": "all", "metrics": metrics, "total": 1717}
        document |= {"seconds": {"start": 2.0, "train": 15.0, "test": 3.0}} | more
        (run / "metrics.json").write_text(json.dumps(document))
        return run

    return write


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures of reports are empty SVGs, which takes no time."""
    from dassl.writing import atomic_write
    from report import plots

    def save(figure, path, title, svg=False, within=None):
        with atomic_write(Path(path).with_suffix(".svg"), within=within) as file:
            file.write("<svg/>")

    monkeypatch.setattr(plots, "save", save)
