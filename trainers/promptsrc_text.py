"""The text side of PromptSRC: learned prompts agree with frozen ones, and their context is averaged over the epochs.

PromptSRC also learns prompts of the image tower, and keeps image features near the frozen ones. Image features are
frozen here, so that this part has no counterpart and is left out. Its prompts have nine layers; here they have one.
Its frozen prompts are 60 templates; here they are the LLM's, and each has unit norm before their mean is taken.

References:
    Khattak, Wasim, Naseer, Khan, Yang, Khan: Self-regulating prompts: Foundational model adaptation without forgetting.
    ICCV 2023.
    github.com/muzairkhattak/PromptSRC: trainers/promptsrc.py, the authors' code.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from trainers.base.feature_trainer import Step
from trainers.base.prompt_learner import PromptLearner
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import ensemble, llm_features
from trainers.biomedcoop import kdsp_loss


def gaussian_weights(epochs: int, mean: float, std: float) -> Tensor:
    """Return the weights [epochs], float64, of the epochs 1, 2, ... in an average: a Gaussian's values, of sum 1.

    Args:
        epochs: number of epochs.
        mean: epoch of the greatest weight.
        std: standard deviation, in epochs.

    >>> gaussian_weights(4, mean=3, std=1)
    tensor([0.0576, 0.2583, 0.4258, 0.2583], dtype=torch.float64)
    """
    distances = (torch.arange(1, epochs + 1, dtype=torch.float64) - mean) / std
    return torch.softmax(-distances.square() / 2, dim=0)


class AveragedPromptLearner(PromptLearner):
    """A `PromptLearner` with the weighted sum `average` of its context over the epochs so far.

    It is a part of the checkpoint, so that a resumed run goes on with it.
    """

    average: Tensor

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("average", torch.zeros_like(self.ctx))

    @torch.no_grad()
    def add(self, weight: float) -> None:
        """Add the context of an epoch, times its weight, to the average."""
        self.average.add_(self.ctx, alpha=weight)

    @torch.no_grad()
    def finish(self) -> None:
        """Replace the context by the average."""
        self.ctx.copy_(self.average)


@TRAINER_REGISTRY.register()
class PromptSRCText(PromptTrainer):
    """Add the L1 distance to the frozen text features and the divergence from their logits to the cross-entropy.

    What is tested, and what the last checkpoint holds, is the average of the context over all epochs.
    """

    short = "promptsrc_text"
    learner = AveragedPromptLearner
    prompt_learner: AveragedPromptLearner

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.N_PROMPTS = 50  # LLM prompts per class
        node.TEXT_LOSS_WEIGHT = 25.0  # of the mean absolute difference to their mean directions
        node.LOGITS_LOSS_WEIGHT = 1.0  # of the divergence of the logits from those of their mean directions
        # Gaussian average of the context, in parts of the number of epochs: published are epoch 15 and 1 epoch of 20
        node.GPA_MEAN = 0.75
        node.GPA_STD = 0.05
        return node

    def check_cfg(self, cfg: CfgNode) -> None:
        """Raise a UserError if the Gaussian has no width."""
        super().check_cfg(cfg)
        if (std := cfg.TRAINER.PROMPTSRCTEXT.GPA_STD) <= 0:
            raise UserError(
                f"Expected TRAINER.PROMPTSRCTEXT.GPA_STD above 0, but got {std}: give a part of the number of epochs."
            )

    def build_training(self, classnames: list[str]) -> None:
        super().build_training(classnames)
        s = self.settings
        self.ensemble = ensemble(llm_features(self, s.N_PROMPTS))
        mean, std = s.GPA_MEAN * self.max_epoch, s.GPA_STD * self.max_epoch
        self.weights = gaussian_weights(self.max_epoch, mean, std).tolist()
        print(f"Context: average over {self.max_epoch} epochs, Gaussian of mean {mean:g} and deviation {std:g} epochs")

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        s = self.settings
        logits = self.cosine_logits(features, prompts)
        frozen = self.cosine_logits(features, self.ensemble)
        return logits, {
            "ce": cross_entropy(logits, labels),
            "text": s.TEXT_LOSS_WEIGHT * l1_loss(prompts, self.ensemble),
            "logits": s.LOGITS_LOSS_WEIGHT * kdsp_loss(logits, frozen),
        }

    def after_epoch(self) -> None:
        self.prompt_learner.add(self.weights[self.epoch])
        if self.epoch + 1 == self.max_epoch:
            self.prompt_learner.finish()
        super().after_epoch()
