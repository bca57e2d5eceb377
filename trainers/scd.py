"""SCD: a second, silenced prompt takes what does not tell the classes apart, and the first one leaves it alone.

SCD is one of the three parts of BiomedCCPL. The others are left out: SAR, which pulls prompts to hand-written ones, and
VGAP, which shows patches of each image to the text tower; the features of a whole image have no patches.

References:
    BiomedCCPL: Causal conditional prompt learning for biomedical vision-language models. CVPR 2026.
    github.com/burgers0708/BiomedCCPL: trainers/biomedccpl.py, the authors' code.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax
from yacs.config import CfgNode

from clip import Tokens
from dassl.engine import TRAINER_REGISTRY
from trainers.base.feature_trainer import Step
from trainers.base.prompt_trainer import PromptTrainer

NOISE = 0.01  # standard deviation of the difference between the two initial contexts


def uniformity_loss(logits: Tensor) -> Tensor:
    """Return the mean over the images of KL(uniform || p), where p are the probabilities of logits [B, C].

    >>> import math, torch
    >>> uniformity_loss(torch.tensor([[math.log(3), 0.0]]))  # probabilities 3/4 and 1/4: log(4 / 3) / 2
    tensor(0.1438)
    """
    return -log_softmax(logits, dim=1).mean() - torch.tensor(float(logits.shape[1])).log()


def orthogonality_loss(prompts: Tensor, silenced: Tensor) -> Tensor:
    """Return the mean squared cosine of all C x C pairs of a prompt and a silenced prompt.

    The authors' code takes all pairs; their paper has those of one class alone.

    Args:
        prompts: text features [C, D], unit norm.
        silenced: text features [C, D] of the silenced prompts, unit norm.

    >>> import torch
    >>> orthogonality_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8], [1.0, 0.0]]))  # 2 / 4
    tensor(0.5000)
    """
    return (prompts @ silenced.T).square().mean()


class SilencedContext(nn.Module):
    """The context `ctx` of the silenced prompts: a copy of another one with random numbers added."""

    def __init__(self, ctx: Tensor):
        super().__init__()
        noise = NOISE * torch.randn(ctx.shape)  # drawn on the CPU: equal on all devices
        self.ctx = nn.Parameter(ctx.detach() + noise.to(ctx.device))


@TRAINER_REGISTRY.register()
class SCD(PromptTrainer):
    """Add to the cross-entropy that silenced prompts tell nothing, and that prompts are orthogonal to them.

    The silenced context is needed in training only; a test reads the checkpoint of the other one. The authors tune both
    weights per data set, from 1 to 20. Here all have those of 1 and 10 that had the highest mean accuracy on the
    phantoms of BTMRI, COVID and DermaMNIST at K = 4.
    """

    @staticmethod
    def defaults() -> CfgNode:
        node = PromptTrainer.defaults()
        node.LAMBDA_NEM = 10.0  # weight of the divergence of the silenced prompts' probabilities from equal ones
        node.LAMBDA_ORT = 1.0  # weight of the squared cosine of prompts and silenced prompts
        return node

    def build_training(self, classnames: list[str]) -> None:
        super().build_training(classnames)
        self.silenced = SilencedContext(self.prompt_learner.ctx)
        self.learn("silenced_context", self.silenced)

    def prompts(self, features: Tensor) -> tuple[Tensor, Tokens]:
        learner = self.prompt_learner
        silenced = learner.join(self.silenced.ctx.expand_as(learner.context))
        return torch.cat([learner(), silenced]), Tokens(*(part.repeat(2, 1) for part in learner.tokens))

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        s = self.settings
        causal, silenced = prompts.chunk(2)
        logits = self.cosine_logits(features, causal)
        return logits, {
            "ce": cross_entropy(logits, labels),
            "nem": s.LAMBDA_NEM * uniformity_loss(self.cosine_logits(features, silenced)),
            "ort": s.LAMBDA_ORT * orthogonality_loss(causal, silenced),
        }
