"""Digests of what a run's numbers follow from beside its settings: images, sentences and the backbone.

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
from datasets.settings import settings_of

# What the digest called so is of, in the words of an error.
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
