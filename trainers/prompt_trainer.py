"""The base of every prompt-learning method: learned context tokens, the frozen text tower, cosine logits."""

from collections.abc import Sequence

import torch
from torch import Tensor
from yacs.config import CfgNode

from clip import Tokens
from trainers.feature_trainer import FeatureTrainer, Step
from trainers.prompt_learner import PromptLearner


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
        """Embeddings [N, L, token_dim] of the prompts that a batch of image features [B, D] needs, and their tokens."""
        return self.prompt_learner(), self.prompt_learner.tokens

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        """Logits [B, C] and the weighted loss terms, given the unit text features [N, D] of `prompts`."""
        raise NotImplementedError

    @staticmethod
    def losses(trainers: Sequence["PromptTrainer"], batches: Sequence[tuple[Tensor, Tensor]]) -> list[Step]:
        """`loss` of each trainer, after one call of the text tower for the prompts of all.

        The numbers are those of a call for each trainer by itself, but for rounding: a processor adds up in another
        order where there are more rows.
        """
        asked, steps = [], []
        for trainer, (features, _) in zip(trainers, batches, strict=True):
            with trainer.drawing():
                asked.append(trainer.prompts(features))
        tokens = Tokens(*(torch.cat(parts) for parts in zip(*(tokens for _, tokens in asked), strict=True)))
        encoded = trainers[0].backbone.encode_tokens(torch.cat([embeddings for embeddings, _ in asked]), tokens)
        each = encoded.split([len(embeddings) for embeddings, _ in asked])
        for trainer, batch, prompts in zip(trainers, batches, each, strict=True):
            with trainer.drawing():
                steps.append(trainer.loss(*batch, prompts))
        return steps

    def prompt_features(self) -> Tensor:
        """Text features T_p [C, D] of the learned prompts, unit norm."""
        return self.backbone.encode_tokens(self.prompt_learner(), self.prompt_learner.tokens)

    def cosine_logits(self, features: Tensor, prompts: Tensor) -> Tensor:
        """logit_scale * cos(V, T) [B, C] of unit features [B, D] and prompts [C, D]."""
        return self.backbone.logit_scale * features @ prompts.T

    def logits(self, features: Tensor) -> Tensor:
        return self.cosine_logits(features, self.prompt_features())
