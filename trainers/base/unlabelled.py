"""Training images that a method sees without their labels."""

from yacs.config import CfgNode

from dassl.data.datasets import Datum


def unlabelled_images(cfg: CfgNode, dataset) -> list[Datum]:
    """Return the N_UNLABELLED images of each class that a run sees beside its shots; none for most methods."""
    count = cfg.TRAINER[cfg.TRAINER.NAME.upper()].get("N_UNLABELLED", 0)
    return dataset.unlabelled(count, cfg.SEED) if count else []
