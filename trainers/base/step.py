"""A training step of one or several trainers: their losses, and the gradients of their parameters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from clip import Tokens

if TYPE_CHECKING:
    from trainers.base.feature_trainer import FeatureTrainer

Step = tuple[Tensor, dict[str, Tensor]]  # logits [B, C], and the weighted loss terms by name


def compute_losses(trainers: Sequence["FeatureTrainer"], batches: Sequence[tuple[Tensor, Tensor]]) -> list[Step]:
    """Return the `loss` of each trainer, with one call of the text tower for the prompts of all trainers.

    Numbers differ from those of separate calls by rounding only: with more rows, a processor adds in another order.

    Args:
        trainers: trainers on one backbone.
        batches: image features [B, D] and labels [B], one pair per trainer.
    """
    wanted = []
    for trainer, (features, _) in zip(trainers, batches, strict=True):
        with trainer.own_random_numbers():
            wanted.append(trainer.prompts(features))
    steps = []
    for trainer, (features, labels), prompts in zip(trainers, batches, _encode(trainers, wanted), strict=True):
        with trainer.own_random_numbers():
            steps.append(trainer.loss(features, labels, features[:0] if prompts is None else prompts))
    return steps


def _encode(trainers: Sequence["FeatureTrainer"], wanted: list[tuple[Tensor, Tokens] | None]) -> list[Tensor | None]:
    """Return the text features [N, D] of the prompts of each trainer, None for a trainer without prompts."""
    given = [prompts for prompts in wanted if prompts is not None]
    if not given:
        return [None] * len(wanted)
    tokens = Tokens(*(torch.cat(parts) for parts in zip(*(tokens for _, tokens in given), strict=True)))
    encoded = trainers[0].backbone.encode_tokens(torch.cat([embeddings for embeddings, _ in given]), tokens)
    each = iter(encoded.split([len(embeddings) for embeddings, _ in given]))
    return [None if prompts is None else next(each) for prompts in wanted]


def backpropagate(trainers: Sequence["FeatureTrainer"], steps: Sequence[Step]) -> None:
    """Set the gradients of all trainers in one backward pass; the terms of a trainer reach its own parameters only.

    The term that a trainer names as its `guide` is not minimised: its gradients are passed to `redirect`.
    """
    guided = [trainer for trainer in trainers if trainer.guide]
    guiding: list[Tensor] = []
    minimised: list[Tensor | int] = []
    for trainer, (_, terms) in zip(trainers, steps, strict=True):
        guiding += [term for name, term in terms.items() if name == trainer.guide]
        minimised.append(sum(term for name, term in terms.items() if name != trainer.guide))
    learned = [parameter for trainer in guided for parameter in trainer.learned_parameters()]
    guides = iter(torch.autograd.grad(guiding, learned, retain_graph=True) if guided else ())
    total = sum(minimised)
    assert isinstance(total, Tensor)  # there is a term that is minimised
    total.backward()
    for trainer in guided:
        trainer.redirect([next(guides) for _ in trainer.learned_parameters()])
