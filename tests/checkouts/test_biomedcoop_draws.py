"""`DATASET.DRAWS biomedcoop` beside the original: its own data sets, read by its own Dassl, draw the same images.

It needs a checkout of https://github.com/HealthX-Lab/BiomedCoOp, which `BIOMEDCOOP_CHECKOUT` names.
"""

import json
import os
import random
import subprocess
import sys

import pytest

from datasets.catalogue import by_key
from tests.datasets.layout import lay_out, load, names

CHECKOUT = os.environ.get("BIOMEDCOOP_CHECKOUT", "")
KEYS = ["btmri", "busi", "chmnist", "covid", "ctkidney", "dermamnist", "kneexray", "kvasir", "lungcolon", "octmnist"]
KEYS.append("retina")
RUNS = [(key, seed, shots, "all") for key in KEYS for seed in (1, 2, 3, 77) for shots in (1, 4, 16)]
RUNS += [(key, seed, 4, "base") for key in ("btmri", "dermamnist", "kneexray") for seed in (1, 2)]

# As their train.py comes to its data set: the seed, a look at the machine, the data set.
THEIRS = """
import json, sys, types
sys.modules["gdown"] = types.ModuleType("gdown")  # for downloads, which there are none of
checkout, root, runs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path[:0] = [checkout + "/Dassl.pytorch", checkout]
from dassl.config import get_cfg_default
from dassl.data.datasets import build_dataset
from dassl.utils import collect_env_info, set_random_seed
import datasets
import datasets.chmnist
found = []
for name, seed, shots, which in runs:
    cfg = get_cfg_default()
    cfg.DATASET.ROOT, cfg.DATASET.NAME, cfg.DATASET.NUM_SHOTS, cfg.SEED = root, name, shots, seed
    cfg.DATASET.SUBSAMPLE_CLASSES = which
    set_random_seed(seed)
    if not found:
        collect_env_info()
    data = build_dataset(cfg)
    found.append([[[item.impath, item.label] for item in part] for part in (data.train_x, data.val, data.test)])
print("\\n" + json.dumps(found))
"""

pytestmark = pytest.mark.skipif(not CHECKOUT, reason="BIOMEDCOOP_CHECKOUT names no checkout of BiomedCoOp")


@pytest.fixture
def theirs(tmp_path):
    """`theirs(runs)`: path and label of each image for training, validation and test that the original takes."""

    def ask(runs: list[tuple]) -> list:
        line = [sys.executable, "-c", THEIRS, CHECKOUT, str(tmp_path), json.dumps(runs)]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        env["PYTHONDONTWRITEBYTECODE"] = "1"
        done = subprocess.run(line, capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return ask


def shuffled(root, key: str) -> None:
    """Write a data set whose split lists classes and images in no order, and few validation images of some classes."""
    path, chance = lay_out(root, by_key()[key], train=20, val=6, test=2), random.Random(key)
    split = json.loads(path.read_text())
    for entries in split.values():
        chance.shuffle(entries)
    split["val"] = [entry for entry in split["val"] if not (entry[1] == 1 and entry[0][-5] in "0123")]
    path.write_text(json.dumps(split))


def test_the_original_draws_the_same_images_in_the_same_order(tmp_path, theirs):
    for key in KEYS:
        shuffled(tmp_path, key)
    expected = theirs([(by_key()[key].__name__, *rest) for key, *rest in RUNS])
    for (key, seed, shots, which), parts in zip(RUNS, expected, strict=True):
        data = load(tmp_path, by_key()[key], shots, seed, which, DRAWS="biomedcoop")
        found = [[[item.impath, item.label] for item in part] for part in (data.train_x, data.val, data.test)]
        assert found == parts, (key, seed, shots, which)
        assert names(data.train_x) != names(load(tmp_path, by_key()[key], shots, seed, which).train_x)  # another rule
