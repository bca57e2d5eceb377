"""Methods whose classes are those of their labelled images."""

from yacs.config import CfgNode

from dassl.errors import UserError
from trainers.feature_trainer import FeatureTrainer


class ClosedSet(FeatureTrainer):
    """A method that learns no way from a class name to a classifier, and so cannot meet novel classes."""

    class_bound = True

    def check_cfg(self, cfg: CfgNode) -> None:
        """Raise a UserError where novel classes are asked for: labelled images of them would be looked at."""
        super().check_cfg(cfg)
        if cfg.DATASET.SUBSAMPLE_CLASSES == "new":
            raise UserError(
                f'Expected SUBSAMPLE_CLASSES to be "all" or "base", but got "new": {cfg.TRAINER.NAME} knows no classes '
                "but those of its labelled images, so base to novel is not defined for it."
            )
