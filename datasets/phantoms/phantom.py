"""A phantom data set: classes as distributions over named attributes, phrases for them, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.random import Generator

from dassl.reading import read_yaml

# A factor is either a probability (the attribute of that name is there or not)
# or a choice {attribute: probability} of which exactly one is drawn; "" stands for no attribute.
Factors = Mapping[str, float | Mapping[str, float]]


@dataclass(frozen=True)
class Phantom:
    """One phantom data set.

    Args:
        name: of the data set and of its folder, such as "BTMRI".
        classes: factors of each class, in the order of the labels.
        modality: phrases for the kind of image.
        phrases: phrases for each attribute.
        draw: function of random numbers and attributes; returns a picture, float [64, 64] or [64, 64, 3]. It does not
            get the class: a picture shows its class through the attributes alone.
        lesion: what `draw` notes as a lesion, in words; "" if the data set has no lesions that could be outlined.
    """

    name: str
    classes: Mapping[str, Factors]
    modality: Sequence[str]
    phrases: Mapping[str, Sequence[str]]
    draw: Callable[[Generator, frozenset[str]], np.ndarray]
    lesion: str = ""

    def draw_attributes(self, rng: Generator, classname: str) -> frozenset[str]:
        """Draw the attributes of one case of a class.

        >>> factors = {"size": {"small": 1.0, "large": 0.0}, "oedema": 0.999, "shift": 0.001}
        >>> phantom = Phantom("Brain", {"tumor": factors}, [], {}, draw=None)
        >>> sorted(phantom.draw_attributes(np.random.default_rng(0), "tumor"))
        ['oedema', 'small']
        """
        drawn = set()
        for factor, law in self.classes[classname].items():
            if isinstance(law, Mapping):
                names = list(law)
                drawn.add(names[int(rng.choice(len(names), p=list(law.values())))])
            elif rng.random() < law:
                drawn.add(factor)
        return frozenset(drawn - {""})


@cache
def read_phantom(path: Path) -> Phantom:
    """Return the phantom that `attributes/<key>.yaml` describes and `<key>.py` draws.

    The factors of "every class" are drawn before those of the class itself.
    """
    held = read_yaml(path)
    return Phantom(
        name=held["name"],
        classes={classname: held["every class"] | factors for classname, factors in held["classes"].items()},
        modality=held["modality"],
        phrases=held["phrases"],
        draw=import_module(f"{__package__}.{path.stem}").draw,
        lesion=held.get("lesion", ""),
    )
