"""What one hand-written template says about the classes, as features of the frozen text tower."""

from torch import Tensor

from dassl.errors import UserError
from trainers.feature_trainer import FeatureTrainer

TEMPLATE = "a photo of a {}."


def template_features(trainer: FeatureTrainer, classnames: list[str], template: str = TEMPLATE) -> Tensor:
    """Features [C, D] (unit norm) of `template` with each class name in place of `{}`; "_" reads as a space.

    Raises:
        UserError: the template has no place for the name.
    """
    if "{}" not in template:
        raise UserError(f"Expected {{}} for the class name in TEMPLATE, but got {template!r}: write it there.")
    prompts = [template.replace("{}", name.replace("_", " ")) for name in classnames]
    return trainer.store.texts(prompts).to(trainer.device)
