"""Bases of the prompt-learning methods: learned context tokens, the frozen text tower, cosine logits."""

from collections.abc import Iterator

import torch
from torch import Tensor
from yacs.config import CfgNode

from clip import Tokens
from dassl.errors import UserError
from trainers.base.choices import check_choices
from trainers.base.digests import POSTERIOR, method_settings
from trainers.base.linear_head import affine
from trainers.base.posterior_inference import PosteriorInference
from trainers.base.prompt_learner import PromptLearner
from trainers.base.text_features import TEMPLATE, template_features


class PromptTrainer(PosteriorInference):
    """Learn one prompt per class; the logits are logit_scale * V T_p^T of image features V and prompt features T_p.

    With INFERENCE "posterior" the learned prompts are one of the sources of the posterior's directions, in a test and
    nowhere else.
    """

    learner: type[PromptLearner] = PromptLearner
    prompt_learner: PromptLearner

    @staticmethod
    def defaults() -> CfgNode:
        node = PosteriorInference.defaults()
        node.INFERENCE = "prompts"  # classify by the learned "prompts", as published, or by the "posterior"
        node.RHO = 0.5  # of the posterior: share of the LLM's sentences in the text, beside the learned prompts
        node.N_CTX = 4  # number of context tokens
        node.CTX_INIT = "a photo of a"  # words that the context starts from; "" for random numbers
        node.CSC = False  # class-specific context: each class learns its own
        node.CLASS_TOKEN_POSITION = "end"  # place of the class name: "end", "middle" or "front"
        node.VIEWS = "many"  # random views of a training image: "none", "one", or "many", a new one in each epoch
        return node

    def check_cfg(self, cfg: CfgNode) -> None:
        super().check_cfg(cfg)
        check_choices(cfg, {"INFERENCE": ("prompts", POSTERIOR)})
        if not 0 <= (rho := method_settings(cfg).RHO) <= 1:
            key = f"TRAINER.{cfg.TRAINER.NAME.upper()}.RHO"
            raise UserError(f"Expected {key} from 0 to 1, but got {rho:g}: give the share of the LLM's sentences.")

    def build_method(self, classnames: list[str]) -> None:
        s = self.settings
        self.prompt_learner = self.learner(
            self.backbone, classnames, s.N_CTX, s.CTX_INIT, s.CSC, s.CLASS_TOKEN_POSITION
        )
        self.learn("prompt_learner", self.prompt_learner)
        super().build_method(classnames)

    @property
    def class_bound(self) -> bool:
        return self.settings.CSC

    def prompts(self, features: Tensor) -> tuple[Tensor, Tokens]:
        return self.prompt_learner(), self.prompt_learner.tokens

    def prompt_features(self) -> Tensor:
        """Return the text features T_p [C, D] of the learned prompts, unit norm."""
        return self.backbone.encode_tokens(self.prompt_learner(), self.prompt_learner.tokens)

    def class_prompts(self) -> Tensor:
        return self.prompt_features()

    def cosine_logits(self, features: Tensor, prompts: Tensor) -> Tensor:
        """Return logit_scale * cos(V, T_p) [B, C] of unit features [B, D] and prompts [C, D]."""
        return self.backbone.logit_scale * features @ prompts.T

    def encoded(self, features: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield parts of image features [B, D] with the features [C, D] of the prompts for them.

        Where each image has its own prompts, they are [B, C, D], and there is no `linear_head`.
        """
        yield features, self.prompt_features()

    @affine
    def logits(self, features: Tensor) -> Tensor:
        classify = self.posterior_logits if self.posterior else self.cosine_logits
        return torch.cat([classify(part, prompts) for part, prompts in self.encoded(features)])

    def extra_metrics(self, features: Tensor, labels: Tensor) -> dict[str, float]:
        """Return what the prompts alone reach, where the posterior decides: the rest is what the inference adds."""
        if not self.posterior:
            return {}
        right = [self.cosine_logits(part, prompts).argmax(dim=1) for part, prompts in self.encoded(features)]
        return {"prompts_accuracy": (torch.cat(right).cpu() == labels).double().mean().item() * 100}


class HandWrittenPrompts(PromptTrainer):
    """A prompt-learning method that compares with hand-written prompts: `hand_written` is their features [C, D]."""

    hand_written: Tensor

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.TEMPLATE = TEMPLATE  # hand-written prompt with {} in place of the class name
        return node

    def build_training(self, classnames: list[str]) -> None:
        super().build_training(classnames)
        self.hand_written = template_features(self, classnames, self.settings.TEMPLATE)
