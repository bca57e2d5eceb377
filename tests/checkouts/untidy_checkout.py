"""A small checkout whose code writes wherever it works, and that holds data and results of its owner's."""

import shutil
from pathlib import Path

from tests.checkouts import small_checkout

UNTIDY = "CoOp_PhantomCLIP"  # our CoOp with this backbone has a folder of this name
FILES = {
    "trainers/Tiny/untidy.py": """
import os
import pickle
from pathlib import Path

import torch
from dassl.engine import TRAINER_REGISTRY
from trainers.Tiny.tiny import Tiny_PhantomCLIP

HOME = Path(__file__).parents[2]


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("written by its code")


@TRAINER_REGISTRY.register()
class CoOp_PhantomCLIP(Tiny_PhantomCLIP):
    def build_model(self):
        cache = Path("data/BTMRI/split_fewshot/shot_2-seed_1.pkl")
        print("few-shot cache of an earlier run:", cache.exists(), "features:", os.path.exists("caches/keys.pt"))
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_bytes(pickle.dumps(["an image"]))
        Path("caches").mkdir(exist_ok=True)
        torch.save(torch.zeros(1), "caches/keys.pt")
        write(Path("output/notes.txt"))
        write(Path("configs/datasets/btmri.yaml"))
        write(HOME / "log" / "loss.txt")
        write(HOME / "trainers" / "__init__.txt")
        super().build_model()

    def after_epoch(self):
        write(Path("clip/checkpoints/offset.txt"))
        torch.save(torch.zeros(1), "clip/checkpoints/best.pt")
        super().after_epoch()
""",
    "data/BTMRI/split_BTMRI.json": '{"train": [], "val": [], "test": []}',
    "data/BTMRI/split_fewshot/shot_2-seed_1.pkl": "of an earlier run",
    "caches/keys.pt": "of an earlier run",
    "output/btmri/log.txt": "of an earlier run",
    ".git/HEAD": "ref: refs/heads/main",
    "trainers/__pycache__/late.cpython-311.pyc": "of an earlier run",
}


def write(folder: Path, images: Path) -> Path:
    """Write the checkout to `folder`, with the images below `images` in its own data folder, and return `folder`."""
    train = small_checkout.FILES["train.py"].replace("trainers.Tiny.tiny", "trainers.Tiny.tiny, trainers.Tiny.untidy")
    train = train.replace('"N_CTX": 16', '"N_CTX": 4')
    scripts = {
        name.replace("tiny", "untidy"): text.replace("Tiny_", "CoOp_")
        for name, text in small_checkout.FILES.items()
        if name.startswith("scripts/")
    }
    small_checkout.write(folder, **{"train": train, **scripts, **FILES})
    shutil.copytree(images / "BTMRI" / "BTMRI", folder / "data" / "BTMRI" / "BTMRI")
    return folder


def snapshot(folder: Path) -> dict[str, tuple]:
    """Return the mode, the time of change and the content of all that lies below `folder`, by its path."""
    found: dict[str, tuple] = {}
    for path in folder.rglob("*"):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (stat.st_mode, stat.st_mtime_ns, content)
    return found
