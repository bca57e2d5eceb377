"""Digests of all that determines the numbers of a run: its settings, images, sentences and backbone.

A run counts as finished, is resumed, or is compared with another only if these digests are equal.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from yacs.config import CfgNode

from clip.build import files_of
from clip.digests import Digests
from clip.pixel_digests import PixelDigests
from dassl.config import flat
from dassl.data.datasets import Datum
from dassl.images import FILE_BYTES, reading_of
from datasets import leaks
from datasets.prompts import load_prompts
from datasets.settings import DEFAULTS, settings_of
from trainers.base.unlabelled import unlabelled_images

# Settings that `config_digest` leaves out.
NOT_HASHED = (
    # They change where or how fast a run computes, not its numbers.
    *("OUTPUT_DIR", "RESUME", "USE_CUDA", "VERBOSE", "DATASET.ROOT", "DATALOADER.NUM_WORKERS", "FEATURES.ROOT"),
    "TRAIN.PRINT_FREQ",
    # They follow from the backbone.
    *("INPUT.SIZE", "INPUT.PIXEL_MEAN", "INPUT.PIXEL_STD", "INPUT.INTERPOLATION", "INPUT.RESIZE_MODE", "INPUT.PREPARE"),
    # It decides whether there is an error, not the numbers.
    "PROMPTS.TOO_LONG",
    # The images, labels and patients that they select are in the digests of the split and of the images.
    *("DATASET.LINKS", "DATASET.LEAKS", "DATASET.NESTED", "DATASET.GROUP_PATTERN"),
    *(f"DATASET.TABLE.{key}" for key in DEFAULTS.TABLE),
)
# Settings that change what is shown or kept beside the results: each counts as if it had this value.
HARMLESS = {
    "TENSORBOARD": False,
    "TEST.PER_CLASS_RESULT": False,
    "TEST.COMPUTE_CMAT": False,
    "TRAIN.CHECKPOINT_FREQ": 0,
}
# Name of each digest in an error.
NAMES = {
    "config": "settings",
    "split": "entries of the split",
    "support": "training images",
    "test": "test images",
    "sentences": "sentences",
    "backbone_files": "files of the backbone",
    "learned": "learned tensors",
}


POSTERIOR = "posterior"  # value of INFERENCE
OF_THE_POSTERIOR = ("RHO", "N_0", "IMAGES", "REFINE", "CONCENTRATION")  # settings that no other inference reads
AS_PUBLISHED = {"INFERENCE": "prompts", "ANCHORS": "fused"}  # what a setting that was added later was before


def digest(value: object) -> str:
    """Return 16 hex digits that identify a value of JSON types.

    >>> digest(["glioma tumor", 0])
    '75073841090bd956'
    """
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def method_settings(cfg: CfgNode) -> CfgNode:
    """Return the settings of the method `cfg.TRAINER.NAME`: the node of `cfg.TRAINER` with its name in capitals."""
    return cfg.TRAINER[cfg.TRAINER.NAME.upper()]


def config_digest(cfg: CfgNode, without: tuple[str, ...] = ()) -> str:
    """Return a digest of all settings that change the numbers of a run.

    Args:
        cfg: the configuration.
        without: further keys that are left out.
    """
    kept: dict[str, object] = {key: value for key, value in shared_settings(cfg).items() if key not in without}
    kept["TRAINER"] = [cfg.TRAINER.NAME, _counting(method_settings(cfg))]  # without the settings of other methods
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]


def shared_settings(cfg: CfgNode) -> dict[str, object]:
    """Return the settings that change the numbers of a run, by key, without those of its method.

    INPUT is left out for our trainers, as it follows from the backbone; for those of another checkout it is a setting.
    PROMPTS.LLM is left out for methods that read no sentences.
    """
    of_checkout = "CHECKOUT" in cfg
    left_out = {key for key in NOT_HASHED if not (of_checkout and key.startswith("INPUT."))}
    left_out |= set() if reads_sentences(method_settings(cfg)) else {"PROMPTS.LLM"}
    kept = {k: HARMLESS.get(k, v) for k, v in flat(cfg) if k not in left_out}
    return {key: value for key, value in kept.items() if not key.startswith("TRAINER.")}


def counting_settings(cfg: CfgNode) -> dict[str, object]:
    """Return all settings that change the numbers of a run, by key; the digest of its settings is of these."""
    prefix = f"TRAINER.{cfg.TRAINER.NAME.upper()}."
    return shared_settings(cfg) | {prefix + key: value for key, value in _counting(method_settings(cfg))}


def reads_sentences(method: CfgNode) -> bool:
    """Return whether a method with these settings reads an LLM's sentences, in its training or in its inference."""
    return bool(method.get("N_PROMPTS")) or (method.get("INFERENCE") == POSTERIOR and method.RHO > 0)


def _counting(method: CfgNode) -> list[tuple[str, object]]:
    """Return the pairs of key and value of a method's settings that change numbers, as `flat` sorts them."""
    idle = {key for key, value in AS_PUBLISHED.items() if method.get(key) == value}
    if "INFERENCE" in idle:
        idle.update(OF_THE_POSTERIOR)
    return [(key, value) for key, value in flat(method) if key not in idle]


def images_digest(items: Sequence[Datum], memo: Digests) -> str:
    """Return a digest of the labels, class names and file contents of data items, in their order."""
    contents = memo.of_all([item.impath for item in items], FILE_BYTES)
    return digest([[i.label, i.classname, content.hex()] for i, content in zip(items, contents, strict=True)])


def training_digests(cfg: CfgNode, dataset) -> dict[str, str | None]:
    """Return the digests of `support_digests`, and that of the files of the backbone."""
    memo, files = Digests(cfg.FEATURES.ROOT or None), files_of(cfg.MODEL.BACKBONE.NAME)
    of_files = digest([content.hex() for content in memo.of_all(files)]) if files else None
    return support_digests(cfg, dataset) | {"backbone_files": of_files}


def support_digests(cfg: CfgNode, dataset) -> dict[str, str | None]:
    """Return digests of the split, and of the training and validation images.

    Training images that a method sees without their labels are among these.
    """
    memo = Digests(cfg.FEATURES.ROOT or None)
    seen = [*dataset.train_x, *(dataset.val or []), *unlabelled_images(cfg, dataset)]
    return {"split": getattr(dataset, "split_hash", None), "support": images_digest(seen, memo)}


def data_digests(cfg: CfgNode, dataset) -> dict[str, str | None]:
    """Return the digests of `training_digests`, and that of the test images; no run is needed."""
    tested = dataset.val if cfg.TEST.SPLIT == "val" and dataset.val else dataset.test
    return training_digests(cfg, dataset) | {"test": images_digest(tested, Digests(cfg.FEATURES.ROOT or None))}


def check_copies(cfg: CfgNode, dataset) -> None:
    """Print which images of a run are copies of each other, byte for byte or pixel for pixel.

    Raises:
        UserError: there are copies, and DATASET.LEAKS is "error".
    """
    parts = {"train": [*dataset.train_x, *unlabelled_images(cfg, dataset)], "val": dataset.val or []}
    if cfg.TEST.SPLIT != "val":  # settings are chosen on validation images, and no test image may be read
        parts["test"] = dataset.test
    root = cfg.FEATURES.ROOT or None
    paths = list(dict.fromkeys(item.impath for items in parts.values() for item in items or ()))
    contents = dict(zip(paths, Digests(root).of_all(paths), strict=True))
    pictures = dict(zip(paths, PixelDigests(root, reading_of(cfg)).of_all(paths), strict=True))
    findings = leaks.copies(parts, lambda some: [contents[path] for path in some])
    leaks.tell(findings + leaks.copies_in_other_files(parts, contents, pictures), settings_of(cfg).LEAKS)


def sentences_digest(cfg: CfgNode, dataset, count: int) -> str | None:
    """Return a digest of the first `count` prompts of the LLM for each class, None for a count of 0."""
    if not count:
        return None
    return digest(load_prompts(dataset.key, cfg.PROMPTS.LLM, dataset.classnames, count, bank=dataset.prompt_bank))


def differing(found: Mapping[str, str | None], expected: Mapping[str, str | None]) -> str:
    """Return the names of the digests of `expected` that `found` does not have, joined by "and"; "" if it has all.

    >>> differing({"config": "a", "split": "b"}, {"config": "a", "split": "c", "test": "d"})
    'entries of the split and test images'
    """
    return " and ".join(NAMES[key] for key, value in expected.items() if value and found.get(key) != value)
