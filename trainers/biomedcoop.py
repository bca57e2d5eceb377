"""BiomedCoOp (Koleilat et al. 2025): prompts held near the LLM ensemble and taught by its pruned version."""

from torch import Tensor
from torch.nn import functional as F
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import ensemble, llm_features, selective_ensemble


def sccm_loss(prompts: Tensor, ensemble: Tensor) -> Tensor:
    """Semantic consistency by contextual mapping: mean squared difference over all C x D entries."""
    return F.mse_loss(prompts, ensemble)


def kdsp_loss(logits: Tensor, teacher: Tensor) -> Tensor:
    """Knowledge distillation with selective prompting: KL(teacher || student) summed, over the B x C entries."""
    student, target = F.log_softmax(logits, dim=1), F.log_softmax(teacher, dim=1)
    return F.kl_div(student, target, reduction="sum", log_target=True) / logits.numel()


@TRAINER_REGISTRY.register()
class BiomedCoOp(PromptTrainer):
    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.N_PROMPTS = 50  # LLM prompts per class
        node.SCCM_LAMBDA = 1.0
        node.KDSP_LAMBDA = 1.0
        node.TAU = 1.5  # outlier threshold of the teacher's prompts, in standard deviations
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
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
