"""ProGrad (Zhu et al. 2023): cross-entropy may not move the prompts against what the zero-shot model knows."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.feature_trainer import Step
from trainers.prompt_trainer import PromptTrainer
from trainers.template import TEMPLATE, template_features

# Of the gradient's norm: ten times what rounding was seen to make of a guide. One step at the warm-up's rate of 1e-5
# leads to guides of 2e-6 to 3e-5, one at a method's own rate to 1e-3 and more.
ROUNDING = 1e-5


def knowledge_loss(logits: Tensor, zero_shot: Tensor, temperature: float) -> Tensor:
    """T^2 KL(zero-shot || learned), both softened by the temperature T, mean over the batch of logits [B, C]."""
    learned, target = (F.log_softmax(x / temperature, dim=1) for x in (logits, zero_shot))
    return temperature**2 * F.kl_div(learned, target, reduction="batchmean", log_target=True)


def projected(gradient: Tensor, guide: Tensor, strength: float) -> Tensor:
    """`gradient`, less `strength` times its component along `guide` where that points the other way.

    A guide shorter than ROUNDING times the gradient counts as zero. While the prompts are the written ones, the
    divergence is at its minimum and its gradient is what rounding leaves: the direction of that, which alone would
    count, is another one on each processor and for each number of seeds trained together.
    """
    against = (gradient * guide).sum().clamp(max=0)
    share = strength * against / guide.square().sum()
    return gradient - torch.where(guide.norm() > ROUNDING * gradient.norm(), share, 0) * guide


@TRAINER_REGISTRY.register()
class ProGrad(PromptTrainer):
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

    @staticmethod
    def backward(trainers: Sequence["ProGrad"], steps: Sequence[Step]) -> None:
        contexts = [trainer.prompt_learner.ctx for trainer in trainers]
        ce, kl = (sum(terms[name] for _, terms in steps) for name in ("ce", "kl"))
        guides = torch.autograd.grad(kl, contexts, retain_graph=True)
        gradients = torch.autograd.grad(ce, contexts)
        for trainer, gradient, guide in zip(trainers, gradients, guides, strict=True):
            trainer.prompt_learner.ctx.grad = projected(gradient, guide, trainer.settings.LAMBDA)
