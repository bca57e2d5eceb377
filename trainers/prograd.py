"""ProGrad (Zhu et al. 2023): cross-entropy may not move the prompts against what the zero-shot model knows."""

from torch import Tensor
from torch.nn import functional as F
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.gradients import projected
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import TEMPLATE, template_features


def knowledge_loss(logits: Tensor, zero_shot: Tensor, temperature: float) -> Tensor:
    """T^2 KL(zero-shot || learned), both softened by the temperature T, mean over the batch of logits [B, C]."""
    learned, target = (F.log_softmax(x / temperature, dim=1) for x in (logits, zero_shot))
    return temperature**2 * F.kl_div(learned, target, reduction="batchmean", log_target=True)


@TRAINER_REGISTRY.register()
class ProGrad(PromptTrainer):
    guide = "kl"

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.T = 1.0  # temperature of both sides of the divergence
        node.LAMBDA = 1.0  # how much of the conflicting component is taken away
        node.TEMPLATE = TEMPLATE  # of the zero-shot model
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        self.written = template_features(self, classnames, self.settings.TEMPLATE)

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        """Cross-entropy, which is minimised, and the divergence, which only guides."""
        logits = self.cosine_logits(features, prompts)
        zero_shot = self.cosine_logits(features, self.written)
        return logits, {
            "ce": F.cross_entropy(logits, labels),
            "kl": knowledge_loss(logits, zero_shot, self.settings.T),
        }

    def redirect(self, guides: list[Tensor]) -> None:
        for parameter, guide in zip(self.learned_parameters(), guides, strict=True):
            parameter.grad = projected(parameter.grad, guide, self.settings.LAMBDA)
