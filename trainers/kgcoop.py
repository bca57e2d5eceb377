"""KgCoOp: learned prompts stay near the hand-written prompt of their class.

Reference:
    Yao, Zhang, Xu: Visual-language prompt tuning with knowledge-guided context optimization. CVPR 2023.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.prompt_trainer import HandWrittenPrompts


def knowledge_loss(prompts: Tensor, hand_written: Tensor) -> Tensor:
    """Return the mean of 1 - cosine between learned and hand-written prompts.

    This is half the mean squared distance of the paper's equation; the published weights W belong to this form.

    Args:
        prompts: text features [C, D] of the learned prompts, unit norm.
        hand_written: text features [C, D] of the hand-written prompts, unit norm.

    >>> import torch
    >>> knowledge_loss(torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0], [0.6, 0.8]]))  # cosines 0, 1
    tensor(0.5000)
    """
    return 1 - (prompts * hand_written).sum(dim=-1).mean()


@TRAINER_REGISTRY.register()
class KgCoOp(HandWrittenPrompts):
    """Add the distance to the hand-written prompts, times W, to the cross-entropy."""

    @staticmethod
    def defaults() -> CfgNode:
        node = HandWrittenPrompts.defaults()
        node.W = 8.0  # weight of the distance to the hand-written prompts
        return node

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        logits = self.cosine_logits(features, prompts)
        return logits, {
            "ce": cross_entropy(logits, labels),
            "kg": self.settings.W * knowledge_loss(prompts, self.hand_written),
        }
