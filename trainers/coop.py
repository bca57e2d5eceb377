"""CoOp (Zhou et al. 2022): context tokens learned by cross-entropy alone."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from dassl.engine import TRAINER_REGISTRY
from trainers.prompt_trainer import PromptTrainer


@TRAINER_REGISTRY.register()
class CoOp(PromptTrainer):
    def loss(self, features: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.logits(features)
        return logits, {"ce": cross_entropy(logits, labels)}
