"""A data set and a backbone of one's own are one file each: they are found by being there."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip import families
from dassl.errors import UserError
from tests.code_copies import copy_code, run_there

ROOT = Path(__file__).parents[2]
DATA_SET = '''"""Broken and whole bones in X-rays."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.base import BiomedDataset


@DATASET_REGISTRY.register()
class Bones(BiomedDataset):
    """Broken and whole bones in X-rays."""

    dataset_dir = "bones"
    classes = ("broken bone", "whole bone")
    modality = "X-ray"
    organ = "hand"
    source = "our clinic"
    licence = "none"
'''
BACKBONE = '''
from clip.models import Model

NAMES = {"Tiny": Model(f"local-dir:{__file__.rpartition('/')[0]}", 16, 77, 8, "MIT")}


def build(name: str, source: str) -> Backbone:
    """Build a backbone in memory."""
    return TinyBackbone(name)
'''


@pytest.fixture
def bones(tmp_path) -> Path:
    """Images in the layout of the 14 data sets."""
    rng, split = np.random.default_rng(0), {"train": [], "val": [], "test": []}
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for label, name in enumerate(("broken bone", "whole bone")):
            folder = tmp_path / "images" / "bones" / "bones" / name.replace(" ", "_")
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = rng.normal(60 + 90 * label, 12, (40, 40)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{part}{i}.png")
                split[part].append([f"{folder.name}/{part}{i}.png", label, name])
    (tmp_path / "images" / "bones" / "split_bones.json").write_text(json.dumps(split))
    return tmp_path / "images"


@pytest.mark.slow
def test_one_file_is_a_data_set_and_one_a_backbone(bones, tmp_path):
    code = copy_code(tmp_path / "code")
    (code / "datasets" / "bones.py").write_text(DATA_SET)
    tiny = (ROOT / "tests" / "tiny_backbone.py").read_text()
    (code / "clip" / "families" / "tiny.py").write_text(tiny + BACKBONE)
    given = {"DATA": str(bones), "SEEDS": "1", "OPTS": "OPTIM.MAX_EPOCH 2 DATALOADER.NUM_WORKERS 0"}
    done = run_there(code, "bash", "scripts/coop/few_shot.sh", "bones", 2, "Tiny", **given)
    assert done.returncode == 0, done.stderr
    folder = code / "output/bones/shots_2/CoOp_Tiny/nctx4_cscFalse_ctpend__OPTIM.MAX_EPOCH=2"
    record = json.loads((folder / "seed1" / "metrics.json").read_text())
    assert (record["key"], record["dataset"], record["backbone"], record["total"]) == ("bones", "Bones", "Tiny", 6)
    assert "* accuracy: " in run_there(code, "python", "parse_test_res.py", folder).stdout
    listed = run_there(code, "python", "-m", "report", "output").stdout
    assert "Tiny on real images" in listed and "bones" in listed
    wrong = run_there(code, "bash", "scripts/coop/few_shot.sh", "bonez", 2, "Tinny", **given)
    assert wrong.returncode and "bones" in wrong.stderr
    wrong = run_there(code, "bash", "scripts/coop/few_shot.sh", "bones", 2, "Tinny", **given)
    assert wrong.returncode and "Tiny" in wrong.stderr


def test_a_short_name_belongs_to_one_family(monkeypatch, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text('NAMES = {"Mine": "local-dir:."}\n')
    monkeypatch.setattr(families, "__path__", [str(tmp_path)])
    families.families.cache_clear()
    try:
        with pytest.raises(UserError, match='one and two in clip/families both have "Mine"'):
            families.families()
    finally:
        families.families.cache_clear()
