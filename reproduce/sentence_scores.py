"""Ways to score the sentences of a class for a picture, among which one was chosen on the development half.

Symbols as in `explain.sentences`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from explain.sentences import sentence_scores
from explain.spoken import sentence_directions, unit


class Seen(NamedTuple):
    """Pictures that are seen as one class, with one runner-up. All tensors are float64.

    Attributes:
        pictures: unit features v [N, D].
        centre: m_V [D].
        gain: direction g [D] in which the class gains on the runner-up.
        sentences: unit features of the sentences of every class, [n_c, D] each.
        label: the class.
        other: the runner-up.
    """

    pictures: Tensor
    centre: Tensor
    gain: Tensor
    sentences: Sequence[Tensor]
    label: int
    other: int

    @property
    def own(self) -> Tensor:
        """The sentences' directions y^ [n, D] of the class, relative to all."""
        return sentence_directions(self.sentences)[self.label]

    @property
    def shown(self) -> Tensor:
        """The cosine [N, n] of each picture with each sentence, both centred."""
        return unit(self.pictures - self.centre) @ self.own.T

    @property
    def told(self) -> Tensor:
        """The cosine [n] of each sentence with the gain."""
        return self.own @ unit(self.gain)


def plain(seen: Seen) -> Tensor:
    """Return v . s [N, n]: the cosine as it is."""
    return seen.pictures @ seen.sentences[seen.label].T


def share(seen: Seen) -> Tensor:
    """Return x . (s - mu_d) [N, n], whose mean over s is the difference of the logits of two ensembles.

    mu_d is the mean of the runner-up's sentences, and their ensembles are not scaled to unit norm.
    """
    return (seen.pictures - seen.centre) @ (seen.sentences[seen.label] - seen.sentences[seen.other].mean(dim=0)).T


def shown(seen: Seen) -> Tensor:
    """Return x^ . y^ [N, n]: the picture alone."""
    return seen.shown


def told(seen: Seen) -> Tensor:
    """Return y^ . g^ [N, n]: the gain alone, the same for all pictures."""
    return seen.told.expand_as(seen.shown)


def weighted(seen: Seen) -> Tensor:
    """Return x^ . y^ (1 + y^ . g^) [N, n]: the picture, weighted by the gain."""
    return sentence_scores(seen.pictures - seen.centre, seen.gain[None], seen.own)


def uncentred(seen: Seen) -> Tensor:
    """Return v . y^ (1 + y^ . g^) [N, n]: the same where the mean support image is not known."""
    return sentence_scores(seen.pictures, seen.gain[None], seen.own)


def twice(seen: Seen) -> Tensor:
    """Return y^ . (x^ + max(0, x^ . g^) g^) [N, n]: the picture, in which what decides counts twice."""
    decides = (unit(seen.pictures - seen.centre) @ unit(seen.gain)).clamp(min=0)
    return seen.shown + decides[:, None] * seen.told


CHOSEN = "the picture, weighted by the gain"  # what `explain.sentences` does
SCORES: dict[str, Callable[[Seen], Tensor]] = {
    "the cosine as it is": plain,
    "the share in the difference of ensembles": share,
    "the picture alone": shown,
    "the gain alone": told,
    CHOSEN: weighted,
    "the same, of pictures that are not centred": uncentred,
    "the picture, with what decides twice": twice,
}
