"""The frozen backbone of a run, and the settings that follow from it."""

from functools import lru_cache

from yacs.config import CfgNode

from clip import Backbone, FeatureStore, build_backbone
from clip.revisions import note_revision
from dassl.images import Reading, reading_of
from dassl.utils import choose_device
from trainers.base.digests import method_settings


def shared_backbone(cfg: CfgNode) -> tuple[Backbone, FeatureStore]:
    """Return the backbone and the feature store of a configuration; all runs of a process share them."""
    return load_backbone(
        cfg.MODEL.BACKBONE.NAME,
        str(choose_device(cfg.USE_CUDA)),
        method_settings(cfg).PREC,
        cfg.FEATURES.ROOT,
        cfg.DATALOADER.NUM_WORKERS,
        reading_of(cfg),
    )


@lru_cache(maxsize=1)
def load_backbone(
    name: str, device: str, precision: str, root: str, workers: int, reading: Reading
) -> tuple[Backbone, FeatureStore]:
    """Return a backbone and its feature store; the last pair is kept in memory.

    Args:
        name: of the backbone.
        device: such as "cpu" or "cuda".
        precision: of the towers, "fp32", "tf32" or "bf16".
        root: folder of the feature store, "" for the user's cache folder.
        workers: number of processes that read images.
        reading: how image files are read.
    """
    backbone = build_backbone(name, device, precision)
    note_revision(backbone, root or None)
    return backbone, FeatureStore(backbone, root or None, workers=workers, reading=reading)


def set_input(cfg: CfgNode, backbone: Backbone) -> None:
    """Set what the backbone expects of its images in `cfg`: size, pixel statistics, scaling and preparation."""
    cfg.INPUT.SIZE = (backbone.image_size, backbone.image_size)
    cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = list(backbone.mean), list(backbone.std)
    cfg.INPUT.INTERPOLATION = backbone.interpolation
    cfg.INPUT.RESIZE_MODE, cfg.INPUT.PREPARE = backbone.resize_mode, backbone.prepare


def with_input(cfg: CfgNode, backbone: Backbone) -> CfgNode:
    """Return `cfg` if it has the input settings of the backbone, else a frozen copy that has them."""
    copy = cfg.clone()
    copy.defrost()
    set_input(copy, backbone)
    copy.freeze()
    return cfg if copy == cfg else copy
