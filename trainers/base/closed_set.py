"""The base of methods that cannot be tested on novel classes."""

from yacs.config import CfgNode

from dassl.errors import UserError
from trainers.base.feature_trainer import FeatureTrainer


class ClosedSet(FeatureTrainer):
    """A method whose classifier needs labelled images of each class, and so has none for novel classes."""

    closed_set = True
    class_bound = True

    def check_cfg(self, cfg: CfgNode) -> None:
        """Raise a UserError if the configuration asks for novel classes: their labelled images would be used."""
        super().check_cfg(cfg)
        if cfg.DATASET.SUBSAMPLE_CLASSES == "new":
            raise UserError(
                f'Expected SUBSAMPLE_CLASSES to be "all" or "base", but got "new": {cfg.TRAINER.NAME} knows no classes '
                "but those of its labelled images, so base to novel is not defined for it."
            )
