"""The base of every prompt-learning method: learned context tokens, the frozen text tower, cosine logits."""

from torch import Tensor
from yacs.config import CfgNode

from clip import Tokens
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.prompt_learner import PromptLearner


class PromptTrainer(FeatureTrainer):
    """Adds to `FeatureTrainer` a prompt per class, and `logits = logit_scale * V T_p^T`."""

    learner = PromptLearner

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.N_CTX = 4  # number of context tokens
        node.CTX_INIT = "a photo of a"  # words they start from; "" for noise
        node.CSC = False  # a context of its own for each class
        node.CLASS_TOKEN_POSITION = "end"  # "end", "middle" or "front"
        return node

    def build_method(self, classnames: list[str]) -> None:
        s = self.settings
        self.prompt_learner = self.learner(
            self.backbone, classnames, s.N_CTX, s.CTX_INIT, s.CSC, s.CLASS_TOKEN_POSITION
        )
        self.learn("prompt_learner", self.prompt_learner)

    @property
    def class_bound(self) -> bool:
        return self.settings.CSC

    def prompts(self, features: Tensor) -> tuple[Tensor, Tokens]:
        return self.prompt_learner(), self.prompt_learner.tokens

    def prompt_features(self) -> Tensor:
        """Return the text features T_p [C, D] of the learned prompts, unit norm."""
        return self.backbone.encode_tokens(self.prompt_learner(), self.prompt_learner.tokens)

    def cosine_logits(self, features: Tensor, prompts: Tensor) -> Tensor:
        """Return logit_scale * cos(V, T_p) [B, C] of unit features [B, D] and prompts [C, D]."""
        return self.backbone.logit_scale * features @ prompts.T

    def logits(self, features: Tensor) -> Tensor:
        return self.cosine_logits(features, self.prompt_features())
