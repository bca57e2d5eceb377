"""CoOp: context tokens learned by cross-entropy.

Reference:
    Zhou, Yang, Loy, Liu: Learning to prompt for vision-language models. IJCV 2022.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.prompt_trainer import PromptTrainer


@TRAINER_REGISTRY.register()
class CoOp(PromptTrainer):
    """Learn the context by the cross-entropy of the cosine logits."""

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        logits = self.cosine_logits(features, prompts)
        return logits, {"ce": cross_entropy(logits, labels)}
