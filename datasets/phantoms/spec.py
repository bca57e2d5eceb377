"""What a phantom data set is: classes as distributions over named attributes, and a picture of a set of attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

# A factor is either a probability (the attribute of that name is there or not)
# or a choice {attribute: probability} of which exactly one is drawn; "" stands for nothing worth naming.
Factors = Mapping[str, float | Mapping[str, float]]


@dataclass(frozen=True)
class Phantom:
    """One phantom data set.

    `draw(rng, attributes)` never sees the class: a class shows in the picture through its attributes alone.
    """

    name: str
    classes: Mapping[str, Factors]
    modality: Sequence[str]
    phrases: Mapping[str, Sequence[str]]
    draw: Callable[[Generator, frozenset[str]], np.ndarray]

    def attributes(self, rng: Generator, classname: str) -> frozenset[str]:
        """Draw the attributes of one case of this class."""
        drawn = set()
        for factor, law in self.classes[classname].items():
            if isinstance(law, Mapping):
                names = list(law)
                drawn.add(names[int(rng.choice(len(names), p=list(law.values())))])
            elif rng.random() < law:
                drawn.add(factor)
        return frozenset(drawn - {""})
