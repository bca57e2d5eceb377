"""ProGrad: the step of the cross-entropy must not conflict with the knowledge of the zero-shot model.

Reference:
    Zhu, Niu, Han, Wu, Zhang: Prompt-aligned gradient for prompt tuning. ICCV 2023.
"""

from torch import Tensor
from torch.nn import functional as F
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.gradients import projected
from trainers.base.prompt_trainer import HandWrittenPrompts


def knowledge_loss(logits: Tensor, zero_shot: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(zero-shot || learned), the mean over the batch.

    Args:
        logits: [B, C] of the learned prompts.
        zero_shot: logits [B, C] of the hand-written prompts.
        temperature: T, which divides both logits.

    >>> import math, torch
    >>> zero_shot = torch.tensor([[math.log(3), 0.0]])  # probabilities 3/4 and 1/4
    >>> knowledge_loss(torch.zeros(1, 2), zero_shot, temperature=1.0)  # log(2) less the entropy of 3/4 and 1/4
    tensor(0.1308)
    """
    learned, target = (F.log_softmax(x / temperature, dim=1) for x in (logits, zero_shot))
    return temperature**2 * F.kl_div(learned, target, reduction="batchmean", log_target=True)


@TRAINER_REGISTRY.register()
class ProGrad(HandWrittenPrompts):
    """Remove from the gradient of the cross-entropy its component against the gradient of the divergence."""

    guide = "kl"

    @staticmethod
    def defaults() -> CfgNode:
        node = HandWrittenPrompts.defaults()
        node.T = 1.0  # temperature of both sides of the divergence
        node.LAMBDA = 1.0  # share of the conflicting component that is removed
        return node

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        """Return the logits, the cross-entropy, which is minimised, and the divergence, which guides it."""
        logits = self.cosine_logits(features, prompts)
        zero_shot = self.cosine_logits(features, self.hand_written)
        return logits, {
            "ce": F.cross_entropy(logits, labels),
            "kl": knowledge_loss(logits, zero_shot, self.settings.T),
        }

    def redirect(self, guides: list[Tensor]) -> None:
        for parameter, guide in zip(self.learned_parameters(), guides, strict=True):
            assert parameter.grad is not None  # `backward` has set it
            parameter.grad = projected(parameter.grad, guide, self.settings.LAMBDA)
