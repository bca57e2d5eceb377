"""Sentences with scores, and the directions in which sentences lie relative to each other.

Shapes: C classes, n_c sentences of class c, D dimensions. All functions compute in float64.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from trainers.posterior import EQUAL


class Spoken(NamedTuple):
    """A sentence, its score, and the class that it was written about."""

    text: str
    score: float
    label: int

    def __str__(self) -> str:
        return self.text


def sentence_centre(sentences: Sequence[Tensor]) -> Tensor:
    """Return m_T [D], the mean over the C classes of the means of their sentences [n_c, D].

    >>> sentence_centre([torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0]])])
    tensor([0.7500, 0.2500], dtype=torch.float64)
    """
    return torch.stack([some.double().mean(dim=0) for some in sentences]).mean(dim=0)


def sentence_directions(sentences: Sequence[Tensor]) -> list[Tensor]:
    """Return y^ [n_c, D] of the sentences of each class, relative to `sentence_centre`; 0 for one that lies there."""
    centre = sentence_centre(sentences)
    return [unit(some.double() - centre) for some in sentences]


def unit(x: Tensor) -> Tensor:
    """Return vectors [..., D] divided by their length; zeros where it is rounding.

    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 1e-9]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    return torch.where(x.norm(dim=-1, keepdim=True) < EQUAL, 0.0, normalize(x, dim=-1))


def spoken(texts: Sequence[str], scores: Sequence[float], label: int) -> list[Spoken]:
    """Return the sentences of a class with their scores."""
    return [Spoken(text, score, label) for text, score in zip(texts, scores, strict=True)]


def strongest(sentences: Iterable[Spoken], count: int) -> list[Spoken]:
    """Return at most `count` different sentences with the highest scores, those above rounding, the first of equals.

    >>> strongest([Spoken("a ring", 0.2, 0), Spoken("A ring.", 0.2, 1), Spoken("a tail", 0.5, 0)], count=2)
    [Spoken(text='a tail', score=0.5, label=0), Spoken(text='a ring', score=0.2, label=0)]
    """
    found: dict[str, Spoken] = {}
    for each in sorted(sentences, key=lambda spoken: -spoken.score):
        if each.score > EQUAL:
            found.setdefault(" ".join(each.text.casefold().split()).rstrip(". "), each)
    return list(found.values())[:count]
