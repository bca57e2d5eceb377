"""A training step of one or several trainers: their losses, and the gradients of what they learn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clip import Tokens

if TYPE_CHECKING:
    from trainers.base.feature_trainer import FeatureTrainer

Step = tuple[Tensor, dict[str, Tensor]]  # logits [B, C], and the weighted loss terms by name


def losses(trainers: Sequence["FeatureTrainer"], batches: Sequence[tuple[Tensor, Tensor]]) -> list[Step]:
    """Return the `loss` of each trainer, after one call of the text tower for the prompts of all.

    The numbers are those of a call for each trainer alone, but for rounding: a processor adds in another order where
    there are more rows.

    Args:
        trainers: runs on one backbone.
        batches: image features [B, D] and labels [B], one pair per trainer.
    """
    wanted = []
    for trainer, (features, _) in zip(trainers, batches, strict=True):
        with trainer.drawing():
            wanted.append(trainer.prompts(features))
    steps = []
    for trainer, (features, labels), prompts in zip(trainers, batches, _encode(trainers, wanted), strict=True):
        with trainer.drawing():
            steps.append(trainer.loss(features, labels, features[:0] if prompts is None else prompts))
    return steps


def _encode(trainers: Sequence["FeatureTrainer"], wanted: list[tuple[Tensor, Tokens] | None]) -> list[Tensor | None]:
    """Return the text features [N, D] of each trainer's prompts, None for a trainer without prompts."""
    given = [prompts for prompts in wanted if prompts is not None]
    if not given:
        return [None] * len(wanted)
    tokens = Tokens(*(torch.cat(parts) for parts in zip(*(tokens for _, tokens in given), strict=True)))
    encoded = trainers[0].backbone.encode_tokens(torch.cat([embeddings for embeddings, _ in given]), tokens)
    each = iter(encoded.split([len(embeddings) for embeddings, _ in given]))
    return [None if prompts is None else next(each) for prompts in wanted]


def backward(trainers: Sequence["FeatureTrainer"], steps: Sequence[Step]) -> None:
    """Set the gradients of several trainers in one pass; each one's terms reach only its own parameters.

    The term that a trainer names as its `guide` is not minimised: its gradients are handed to `redirect`.
    """
    guided = [trainer for trainer in trainers if trainer.guide]
    guiding, minimised = [], []
    for trainer, (_, terms) in zip(trainers, steps, strict=True):
        guiding += [term for name, term in terms.items() if name == trainer.guide]
        minimised.append(sum(term for name, term in terms.items() if name != trainer.guide))
    learned = [parameter for trainer in guided for parameter in trainer.learned_parameters()]
    guides = iter(torch.autograd.grad(guiding, learned, retain_graph=True) if guided else ())
    sum(minimised).backward()
    for trainer in guided:
        trainer.redirect([next(guides) for _ in trainer.learned_parameters()])
