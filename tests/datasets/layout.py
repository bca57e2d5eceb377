"""Write data sets of empty files in the layout of the real ones, and read them."""

import json
from pathlib import Path

from dassl.config import get_cfg_default
from dassl.data.datasets import Datum
from datasets.base import BiomedDataset
from datasets.btmri import BTMRI
from datasets.settings import extend_cfg

COUNTS = {"train": 6, "val": 5, "test": 2}


def lay_out(root: Path, cls: type[BiomedDataset] = BTMRI, **counts: int) -> Path:
    """Write a data set with so many images of each class in each part; return its split file."""
    folder, split = root / cls.dataset_dir, {}
    for part, count in (COUNTS | counts).items():
        split[part] = []
        for label, name in enumerate(cls.classes):
            images = folder / cls.dataset_dir / name.replace(" ", "_")
            images.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                (images / f"{part}{i}.png").touch()
                split[part].append([f"{images.name}/{part}{i}.png", label, name])
    path = folder / f"split_{cls.dataset_dir}.json"
    path.write_text(json.dumps(split))
    return path


def load(
    root: str | Path,
    cls: type[BiomedDataset] = BTMRI,
    shots: int = -1,
    seed: int = 1,
    classes: str = "all",
    table: dict | None = None,
    **settings,
):
    """Return the data set below `root`; `settings` are keys of `cfg.DATASET`, `table` those of `cfg.DATASET.TABLE`."""
    cfg = get_cfg_default()
    extend_cfg(cfg)
    cfg.DATASET.update(settings)
    cfg.DATASET.TABLE.update(table or {})
    cfg.DATASET.ROOT, cfg.DATASET.NUM_SHOTS, cfg.DATASET.SUBSAMPLE_CLASSES, cfg.SEED = str(root), shots, classes, seed
    return cls(cfg)


def names(data: list[Datum]) -> list[str]:
    """Return class folder and file of each image: "glioma_tumor/train0.png"."""
    return ["/".join(Path(item.impath).parts[-2:]) for item in data]
