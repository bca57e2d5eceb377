"""CoCoOp (Zhou et al. 2022): CoOp whose context tokens are shifted by what the image shows."""

import torch
from torch import Tensor, nn
from tqdm import tqdm

from clip import Backbone, Tokens
from dassl.engine import TRAINER_REGISTRY
from trainers.base.prompt_learner import PromptLearner
from trainers.coop import CoOp

REDUCTION = 16  # of the meta-network's hidden layer
IMAGES_AT_ONCE = 64  # when testing: each needs a prompt per class of its own


class ConditionalPromptLearner(PromptLearner):
    """Adds to `PromptLearner` the meta-network; its one output [token_dim] shifts all context tokens alike."""

    def __init__(self, backbone: Backbone, classnames: list[str], *context):
        super().__init__(backbone, classnames, *context)
        hidden = backbone.embed_dim // REDUCTION
        self.meta_net = nn.Sequential(
            nn.Linear(backbone.embed_dim, hidden), nn.ReLU(), nn.Linear(hidden, backbone.token_dim)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Prompt embeddings [B, C, L, token_dim] for images with the features [B, D]."""
        return self.join(self.context + self.meta_net(features)[:, None, None])


@TRAINER_REGISTRY.register()
class CoCoOp(CoOp):
    learner = ConditionalPromptLearner

    def prompts(self, features: Tensor) -> tuple[Tensor, Tokens]:
        tokens = Tokens(*(part.repeat(len(features), 1) for part in self.prompt_learner.tokens))
        return self.prompt_learner(features).flatten(0, 1), tokens

    def cosine_logits(self, features: Tensor, prompts: Tensor) -> Tensor:
        """Each image [B, D] against its own prompts, of all [B x C, D]."""
        own = prompts.view(len(features), -1, prompts.shape[-1])
        return self.backbone.logit_scale * (own @ features[..., None]).squeeze(-1)

    def logits(self, features: Tensor) -> Tensor:
        parts = tqdm(features.split(IMAGES_AT_ONCE), desc="Encoding prompts", delay=3, leave=False)
        return torch.cat([self.cosine_logits(part, self.backbone.encode_tokens(*self.prompts(part))) for part in parts])
