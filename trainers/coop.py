"""CoOp (Zhou et al. 2022): context tokens learned by cross-entropy alone."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.prompt_trainer import PromptTrainer


@TRAINER_REGISTRY.register()
class CoOp(PromptTrainer):
    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        logits = self.cosine_logits(features, prompts)
        return logits, {"ce": cross_entropy(logits, labels)}
