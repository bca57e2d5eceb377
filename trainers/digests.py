"""Digests of what a run's numbers follow from beside its settings: images, sentences and weights.

A run is taken for finished, resumed, or compared with another only where these agree.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from yacs.config import CfgNode

from clip.build import weights_file
from clip.digests import Digests
from datasets.prompts import load_prompts

# What the digest called so is of, in the words of an error.
NAMES = {
    "config": "settings",
    "split": "a split",
    "support": "training images",
    "test": "test images",
    "sentences": "sentences",
    "weights": "weights of the backbone",
    "learned": "learned tensors",
}


def digest(value: object) -> str:
    """16 hex digits that stand for a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def of_images(items: Sequence, memo: Digests) -> str:
    """Digest of the labels, class names and contents of data items, in their order."""
    contents = memo.of_all([item.impath for item in items])
    return digest([[i.label, i.classname, content.hex()] for i, content in zip(items, contents, strict=True)])


def of_training(cfg: CfgNode, dataset) -> dict[str, str | None]:
    """Digests of the images and weights that learning depends on."""
    memo, path = Digests(cfg.FEATURES.ROOT or None), weights_file(cfg.MODEL.BACKBONE.NAME)
    return {
        "split": getattr(dataset, "split_hash", None),
        "support": of_images([*dataset.train_x, *(dataset.val or [])], memo),
        "weights": memo.of(str(path)).hex() if path else None,
    }


def of_data(cfg: CfgNode, dataset) -> dict[str, str | None]:
    """Digests of the images and weights that a run of `cfg` on `dataset` has, known before it is run."""
    tested = dataset.val if cfg.TEST.SPLIT == "val" and dataset.val else dataset.test
    return of_training(cfg, dataset) | {"test": of_images(tested, Digests(cfg.FEATURES.ROOT or None))}


def of_sentences(cfg: CfgNode, dataset, count: int) -> str | None:
    """Digest of the first `count` sentences that the LLM wrote about each class; None for a method that reads none."""
    if not count:
        return None
    return digest(load_prompts(dataset.key, cfg.PROMPTS.LLM, dataset.classnames, count, bank=dataset.prompt_bank))


def differing(found: Mapping[str, str | None], expected: Mapping[str, str | None]) -> str:
    """Names of what `found` has otherwise than `expected`, or not at all, joined by "and"; "" where all agree."""
    return " and ".join(NAMES[key] for key, value in expected.items() if value and found.get(key) != value)
