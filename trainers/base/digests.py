"""Digests of what a run's numbers follow from: its settings, images, sentences and backbone.

A run is taken for finished, resumed, or compared with another only where these agree.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from yacs.config import CfgNode

from clip.build import files_of
from clip.digests import Digests
from clip.pixel_digests import PixelDigests
from dassl.images import FILE_BYTES, reading_of
from datasets import leaks
from datasets.prompts import load_prompts
from datasets.settings import DEFAULTS, settings_of

# Keys that change where or how fast a run works, not what it computes.
INCIDENTAL = ("OUTPUT_DIR", "RESUME", "USE_CUDA", "VERBOSE", "DATASET.ROOT", "DATALOADER.NUM_WORKERS")
INCIDENTAL += ("FEATURES.ROOT", "TRAIN.PRINT_FREQ", "INPUT.SIZE", "INPUT.PIXEL_MEAN", "INPUT.PIXEL_STD")
INCIDENTAL += ("INPUT.INTERPOLATION",)  # as the backbone says
INCIDENTAL += ("PROMPTS.TOO_LONG",)  # whether there are figures at all
# Which images, labels and patients follow from these is in the digests of the split and the images.
INCIDENTAL += ("DATASET.LINKS", "DATASET.LEAKS", "DATASET.NESTED", "DATASET.GROUP_PATTERN")
INCIDENTAL += tuple(f"DATASET.TABLE.{key}" for key in DEFAULTS.TABLE)
# Each digest in the words of an error.
NAMES = {
    "config": "settings",
    "split": "entries of the split",
    "support": "training images",
    "test": "test images",
    "sentences": "sentences",
    "backbone_files": "files of the backbone",
    "learned": "learned tensors",
}


def digest(value: object) -> str:
    """16 hex digits that stand for a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def method_settings(cfg: CfgNode) -> CfgNode:
    """The settings of the method that `cfg.TRAINER.NAME` names: the node that bears its name in capitals."""
    return cfg.TRAINER[cfg.TRAINER.NAME.upper()]


def config_digest(cfg: CfgNode, without: tuple[str, ...] = ()) -> str:
    """A digest of every setting that changes a run's numbers, but for the keys `without`.

    INPUT is the backbone's where the trainer is ours, and a setting where it is another checkout's.
    """
    foreign = "CHECKOUT" in cfg
    left_out = {key for key in INCIDENTAL if not (foreign and key.startswith("INPUT."))} | set(without)
    kept = {k: v for k, v in _flat(cfg) if k not in left_out and not k.startswith("TRAINER.")}
    kept["TRAINER"] = [cfg.TRAINER.NAME, _flat(method_settings(cfg))]  # not the other methods' settings
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _flat(node: CfgNode, prefix: str = "") -> list[tuple[str, object]]:
    pairs = []
    for key, value in sorted(node.items()):
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else [(prefix + key, value)]
    return pairs


def of_images(items: Sequence, memo: Digests) -> str:
    """Digest of the labels, class names and contents of data items, in their order."""
    contents = memo.of_all([item.impath for item in items], FILE_BYTES)
    return digest([[i.label, i.classname, content.hex()] for i, content in zip(items, contents, strict=True)])


def of_training(cfg: CfgNode, dataset) -> dict[str, str | None]:
    """Digests of the images and the backbone that learning depends on."""
    memo, files = Digests(cfg.FEATURES.ROOT or None), files_of(cfg.MODEL.BACKBONE.NAME)
    return {
        "split": getattr(dataset, "split_hash", None),
        "support": of_images([*dataset.train_x, *(dataset.val or [])], memo),
        "backbone_files": digest([content.hex() for content in memo.of_all(files)]) if files else None,
    }


def of_data(cfg: CfgNode, dataset) -> dict[str, str | None]:
    """Digests of the images and the backbone that a run of `cfg` on `dataset` has, known before it is run."""
    tested = dataset.val if cfg.TEST.SPLIT == "val" and dataset.val else dataset.test
    return of_training(cfg, dataset) | {"test": of_images(tested, Digests(cfg.FEATURES.ROOT or None))}


def tell_copies(cfg: CfgNode, dataset) -> None:
    """Say which images are there more than once, byte for byte or pixel for pixel, among those of a run.

    Raises:
        UserError: some are, and DATASET.LEAKS is "error".
    """
    parts = {"train": dataset.train_x, "val": dataset.val or []}
    if cfg.TEST.SPLIT != "val":  # where settings are chosen on validation images, no test image is read
        parts["test"] = dataset.test
    root, paths = (
        cfg.FEATURES.ROOT or None,
        list(dict.fromkeys(i.impath for some in parts.values() for i in some or ())),
    )
    contents = dict(zip(paths, Digests(root).of_all(paths), strict=True))
    pictures = dict(zip(paths, PixelDigests(root, reading_of(cfg)).of_all(paths), strict=True))
    findings = leaks.copies(parts, lambda some: [contents[path] for path in some])
    leaks.tell(findings + leaks.copies_in_other_files(parts, contents, pictures), settings_of(cfg).LEAKS)


def of_sentences(cfg: CfgNode, dataset, count: int) -> str | None:
    """Digest of the first `count` sentences that the LLM wrote about each class; None for a method that reads none."""
    if not count:
        return None
    return digest(load_prompts(dataset.key, cfg.PROMPTS.LLM, dataset.classnames, count, bank=dataset.prompt_bank))


def differing(found: Mapping[str, str | None], expected: Mapping[str, str | None]) -> str:
    """Names of what `found` has otherwise than `expected`, or not at all, joined by "and"; "" where all agree."""
    return " and ".join(NAMES[key] for key, value in expected.items() if value and found.get(key) != value)
