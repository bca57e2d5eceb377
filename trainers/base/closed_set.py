"""Methods whose classes are those of their labelled images."""

from yacs.config import CfgNode

from dassl.errors import UserError
from trainers.base.feature_trainer import FeatureTrainer


class ClosedSet(FeatureTrainer):
    """A method without a classifier for class names that it never saw: it cannot be tested on novel classes."""

    closed_set = True
    class_bound = True

    def check_cfg(self, cfg: CfgNode) -> None:
        """Raise a UserError where novel classes are asked for: their labelled images would be looked at."""
        super().check_cfg(cfg)
        if cfg.DATASET.SUBSAMPLE_CLASSES == "new":
            raise UserError(
                f'Expected SUBSAMPLE_CLASSES to be "all" or "base", but got "new": {cfg.TRAINER.NAME} knows no classes '
                "but those of its labelled images, so base to novel is not defined for it."
            )
