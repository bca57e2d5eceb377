"""The base of every prompt-learning method: learned context tokens, the frozen text tower, cosine logits."""

from torch import Tensor
from yacs.config import CfgNode

from trainers.feature_trainer import FeatureTrainer
from trainers.prompt_learner import PromptLearner
from trainers.results import method_settings


class PromptTrainer(FeatureTrainer):
    """Adds to `FeatureTrainer` a prompt per class, and `logits = logit_scale * V T_p^T`."""

    @staticmethod
    def defaults() -> CfgNode:
        return CfgNode(
            {
                "N_CTX": 4,  # number of context tokens
                "CTX_INIT": "a photo of a",  # words they start from; "" for noise
                "CSC": False,  # a context of its own for each class
                "CLASS_TOKEN_POSITION": "end",  # "end", "middle" or "front"
                "PREC": "fp32",
            }
        )

    def check_cfg(self, cfg: CfgNode) -> None:
        precision = method_settings(cfg).PREC
        if precision != "fp32":
            raise ValueError(f'Expected TRAINER.{cfg.TRAINER.NAME.upper()}.PREC "fp32", but got "{precision}".')

    def build_method(self, classnames: list[str]) -> None:
        s = self.settings
        self.prompt_learner = PromptLearner(
            self.backbone, classnames, s.N_CTX, s.CTX_INIT, s.CSC, s.CLASS_TOKEN_POSITION
        )
        self.learn("prompt_learner", self.prompt_learner)

    def prompt_features(self) -> Tensor:
        """Text features T_p [C, D] of the learned prompts, unit norm."""
        return self.backbone.encode_tokens(self.prompt_learner(), self.prompt_learner.tokens)

    def cosine_logits(self, features: Tensor, prompts: Tensor) -> Tensor:
        """logit_scale * cos(V, T) [B, C] of unit features [B, D] and prompts [C, D]."""
        return self.backbone.logit_scale * features @ prompts.T

    def logits(self, features: Tensor) -> Tensor:
        return self.cosine_logits(features, self.prompt_features())
