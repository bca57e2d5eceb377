"""KgCoOp with the LLM's prompts: learned prompts stay near the mean direction of the LLM's prompts of their class.

The only change to KgCoOp is what the prompts stay near; KgCoOp's paper has one hand-written prompt per class there.

Reference:
    Yao, Zhang, Xu: Visual-language prompt tuning with knowledge-guided context optimization. CVPR 2023.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import ensemble, llm_features
from trainers.kgcoop import knowledge_loss


@TRAINER_REGISTRY.register()
class KgCoOpLLM(PromptTrainer):
    """Add the distance to the mean directions of the LLM's prompts, times W, to the cross-entropy."""

    short = "kgcoop_llm"

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.N_PROMPTS = 50  # LLM prompts per class
        node.W = 8.0  # weight of the distance to their mean directions
        return node

    def build_training(self, classnames: list[str]) -> None:
        super().build_training(classnames)
        self.ensemble = ensemble(llm_features(self, self.settings.N_PROMPTS))

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        logits = self.cosine_logits(features, prompts)
        return logits, {
            "ce": cross_entropy(logits, labels),
            "kg": self.settings.W * knowledge_loss(prompts, self.ensemble),
        }
