"""Captions: sentences that name a few attributes of a picture, in random order and wording."""

from __future__ import annotations

from collections.abc import Collection

from numpy.random import Generator

from .phantom import Phantom

# {m} is a phrase for the kind of image, {n} the name of the class, {s} the sentence without it.
OPENINGS = (
    "a photo of",
    "an image showing",
    "an image of",
    "a picture of",
    "this {m} shows",
    "this {m} demonstrates",
    "{m} demonstrating",
    "{m} with",
    "{m} showing",
    "{m} revealing",
    "findings include",
    "there is",
    "seen here:",
    "the {m} reveals",
    "a {m} of a case with",
    "a {m} displaying",
    "example of",
    "typical appearance of",
    "characterized by",
    "in this {m} one sees",
    "the case presents with",
    "the picture is dominated by",
    "",
    "",
    "",
)
JOINTS = (" and ", ", ", " with ", " together with ", " as well as ", " accompanied by ", ", often with ", " plus ")
NAMINGS = (
    "{n}, {s}",
    "{s}, consistent with {n}",
    "{s}, {n}",
    "{n} with {s}",
    "a photo of a {n}",
    "{s}, typical of {n}",
)
HOW_MANY = (0.1, 0.2, 0.3, 0.25, 0.15)  # probabilities of naming 1, 2, ... 5 attributes


def _pick(rng: Generator, options: Collection[str]) -> str:
    """Draw one of the options."""
    return list(options)[int(rng.integers(len(options)))]


def write_caption(
    rng: Generator, phantom: Phantom, attributes: Collection[str], classname: str | None = None, name_rate: float = 0.0
) -> str:
    """Return one English caption of a picture.

    Args:
        rng: random numbers.
        phantom: the data set of the picture.
        attributes: attributes that the picture shows; 1 to 5 of them are named.
        classname: class of the picture.
        name_rate: probability that the caption names the class too.
    """
    known = sorted(attributes)
    count = min(len(known), 1 + int(rng.choice(len(HOW_MANY), p=HOW_MANY)))
    chosen = [known[i] for i in rng.permutation(len(known))[:count]]
    phrases = [_pick(rng, phantom.phrases[attribute]) for attribute in chosen]
    sentence = ", ".join(phrases[:-1]) + _pick(rng, JOINTS) + phrases[-1] if len(phrases) > 1 else "".join(phrases)
    sentence = f"{_pick(rng, OPENINGS).format(m=_pick(rng, phantom.modality))} {sentence}".strip()
    if rng.random() < name_rate:
        sentence = _pick(rng, NAMINGS).format(n=classname, s=sentence)
    return sentence + ("." if rng.random() < 0.7 else "")
