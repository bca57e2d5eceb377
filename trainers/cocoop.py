"""CoCoOp: CoOp whose context tokens are shifted by a small network of the image features.

Reference:
    Zhou, Yang, Loy, Liu: Conditional prompt learning for vision-language models. CVPR 2022.
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from clip import Backbone, Tokens
from dassl.engine import TRAINER_REGISTRY
from dassl.progress import bar
from trainers.base.prompt_learner import PromptLearner
from trainers.coop import CoOp

REDUCTION = 16  # D / width of the meta-network's hidden layer
IMAGES_AT_ONCE = 64  # in a test, where each image needs C prompts of its own


class ConditionalPromptLearner(PromptLearner):
    """A `PromptLearner` with a meta-network, whose output [token_dim] is added to all context tokens of an image."""

    def __init__(self, backbone: Backbone, classnames: list[str], *context: Any):
        super().__init__(backbone, classnames, *context)
        hidden = backbone.embed_dim // REDUCTION
        self.meta_net = nn.Sequential(
            nn.Linear(backbone.embed_dim, hidden), nn.ReLU(), nn.Linear(hidden, backbone.token_dim)
        )

    def shifted(self, features: Tensor) -> Tensor:
        """Return the prompt embeddings [B, C, L, token_dim] of images with features [B, D]."""
        return self.join(self.context + self.meta_net(features)[:, None, None])


@TRAINER_REGISTRY.register()
class CoCoOp(CoOp):
    """Learn the context and the meta-network by cross-entropy; each image has C prompts of its own."""

    prompt_learner: ConditionalPromptLearner
    learner = ConditionalPromptLearner

    def prompts(self, features: Tensor) -> tuple[Tensor, Tokens]:
        tokens = Tokens(*(part.repeat(len(features), 1) for part in self.prompt_learner.tokens))
        return self.prompt_learner.shifted(features).flatten(0, 1), tokens

    def linear_head(self) -> None:
        """Return None: other images have other prompts."""

    def cosine_logits(self, features: Tensor, prompts: Tensor) -> Tensor:
        """Return the logits [B, C] of images [B, D] with their own prompts, from the prompts [B x C, D] of all."""
        own = prompts.view(len(features), -1, prompts.shape[-1])
        return self.backbone.logit_scale * (own @ features[..., None]).squeeze(-1)

    def encoded(self, features: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        for part in bar(features.split(IMAGES_AT_ONCE), desc="Encoding prompts", delay=3):
            prompts = self.backbone.encode_tokens(*self.prompts(part))
            yield part, prompts.view(len(part), -1, prompts.shape[-1])
