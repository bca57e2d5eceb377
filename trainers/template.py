"""What one hand-written template says about the classes, as features of the frozen text tower."""

from torch import Tensor

from trainers.feature_trainer import FeatureTrainer

TEMPLATE = "a photo of a {}."


def template_features(trainer: FeatureTrainer, classnames: list[str], template: str = TEMPLATE) -> Tensor:
    """Features [C, D] (unit norm) of `template` filled with each class name; "_" reads as a space."""
    prompts = [template.format(name.replace("_", " ")) for name in classnames]
    return trainer.store.texts(prompts).to(trainer.device)
