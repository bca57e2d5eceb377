"""Bases of the prompt-learning methods: learned context tokens, the frozen text tower, cosine logits."""

from torch import Tensor
from yacs.config import CfgNode

from clip import Tokens
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.prompt_learner import PromptLearner
from trainers.base.text_features import TEMPLATE, template_features


class PromptTrainer(FeatureTrainer):
    """Learn one prompt per class; the logits are logit_scale * V T_p^T of image features V and prompt features T_p."""

    learner: type[PromptLearner] = PromptLearner
    prompt_learner: PromptLearner

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.N_CTX = 4  # number of context tokens
        node.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random numbers
        node.CSC = False  # class-specific context: each class learns its own
        node.CLASS_TOKEN_POSITION = "end"  # place of the class name: "end", "middle" or "front"
        node.VIEWS = "many"  # random views of a training image: "none", "one", or "many", a new one in each epoch
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


class HandWrittenPrompts(PromptTrainer):
    """A prompt-learning method that compares with hand-written prompts: `hand_written` is their features [C, D]."""

    hand_written: Tensor

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.TEMPLATE = TEMPLATE  # hand-written prompt with {} in place of the class name
        return node

    def build_method(self, classnames: list[str]) -> None:
        super().build_method(classnames)
        self.hand_written = template_features(self, classnames, self.settings.TEMPLATE)
