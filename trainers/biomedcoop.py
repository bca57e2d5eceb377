"""BiomedCoOp: learned prompts stay near the LLM's prompts of their class, and learn from a pruned ensemble of them.

Reference:
    Koleilat, Asgariandehkordi, Rivaz, Xiao: BiomedCoOp: Learning to prompt for biomedical vision-language models.
    CVPR 2025.
"""

from torch import Tensor
from torch.nn import functional as F
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import ensemble, llm_features, selective_ensemble


def sccm_loss(prompts: Tensor, ensemble: Tensor) -> Tensor:
    """Return the loss of semantic consistency by contextual mapping: the mean squared difference of all C x D entries.

    Args:
        prompts: text features [C, D] of the learned prompts, unit norm.
        ensemble: mean directions [C, D] of the LLM's prompts, unit norm.

    >>> import torch
    >>> sccm_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]]))  # (0.16 + 0.64) / 2
    tensor(0.4000)
    """
    return F.mse_loss(prompts, ensemble)


def kdsp_loss(logits: Tensor, teacher: Tensor) -> Tensor:
    """Return the loss of knowledge distillation with selective prompting: the sum of KL(teacher || student) / (B C).

    Args:
        logits: [B, C] of the learned prompts, the student.
        teacher: logits [B, C] of the pruned ensemble.

    >>> import math, torch
    >>> teacher = torch.tensor([[math.log(3), 0.0]])  # probabilities 3/4 and 1/4
    >>> kdsp_loss(torch.zeros(1, 2), teacher)  # (log(2) less the entropy of 3/4 and 1/4) / 2
    tensor(0.0654)
    """
    student, target = F.log_softmax(logits, dim=1), F.log_softmax(teacher, dim=1)
    return F.kl_div(student, target, reduction="sum", log_target=True) / logits.numel()


@TRAINER_REGISTRY.register()
class BiomedCoOp(PromptTrainer):
    """Add the consistency loss and the distillation loss, each times its weight, to the cross-entropy."""

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.N_PROMPTS = 50  # LLM prompts per class
        node.SCCM_LAMBDA = 1.0  # weight of the consistency loss
        node.KDSP_LAMBDA = 1.0  # weight of the distillation loss
        node.TAU = 1.5  # outlier threshold of the teacher's prompts, in standard deviations
        return node

    def build_training(self, classnames: list[str]) -> None:
        super().build_training(classnames)
        self.llm = llm_features(self, self.settings.N_PROMPTS)
        self.ensemble = ensemble(self.llm)

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        s = self.settings
        logits = self.cosine_logits(features, prompts)
        teacher = self.cosine_logits(features, selective_ensemble(features, self.llm, s.TAU))
        return logits, {
            "ce": F.cross_entropy(logits, labels),
            "sccm": s.SCCM_LAMBDA * sccm_loss(prompts, self.ensemble),
            "kdsp": s.KDSP_LAMBDA * kdsp_loss(logits, teacher),
        }
