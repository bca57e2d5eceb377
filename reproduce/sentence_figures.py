"""Measure on one phantom data set whether sentences that name what is drawn in a picture rank above the others."""

import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from clip import FeatureStore
from datasets import load_dataset
from datasets.phantoms import find_phantom, sample
from datasets.phantoms.captions import write_caption
from datasets.phantoms.folder import seed_of
from datasets.phantoms.naming import namer, probabilities, telling
from datasets.phantoms.phantom import Phantom
from datasets.prompts import load_prompts
from explain.moved import steps
from explain.spoken import sentence_directions, unit
from reproduce.sentence_scores import Seen
from trainers import posterior
from trainers.base.text_features import TEMPLATE, ensemble

LLM, N_PROMPTS = "claude", 50
N_0 = 8.0  # images that the text is worth: the default of the method that decides
OTHERS = 10  # pictures of the same prediction, whose rankings a picture's own is compared with
NAN = float("nan")


class Decided(NamedTuple):
    """Test pictures of a phantom, and how a method decided on them.

    Attributes:
        phantom: that was drawn.
        pictures: unit features [N, D], float64.
        drawn: attributes of each picture.
        labels: classes [N].
        predicted: classes [N].
        others: runners-up [N].
        directions: of the classes [C, D].
        template: features of "a photo of a {}." [C, D].
        centre: m_V [D].
        bank: the LLM's sentences of each class.
    """

    phantom: Phantom
    pictures: Tensor
    drawn: Sequence[frozenset[str]]
    labels: Tensor
    predicted: Tensor
    others: Tensor
    directions: Tensor
    template: Tensor
    centre: Tensor
    bank: Sequence[Sequence[str]]


class Sentences(NamedTuple):
    """Sentences of each class: their unit features [n_c, D], and the telling attributes that each of them names."""

    features: Sequence[Tensor]
    named: Sequence[Sequence[frozenset[str]]]


class Ranked(NamedTuple):
    """How the sentences of a picture's predicted class rank; NaN where nothing can be told apart.

    Attributes:
        drawn: AUROC of sentences whose attributes are all drawn against those of which none is.
        other: the same by the rankings of other pictures with the same prediction.
        speaks: AUROC of sentences whose attributes are all drawn, and more frequent in the class than in the
            runner-up, against the others that name something.
        first: whether all that the first sentence names is drawn (1) or nothing of it (0).
        other_first: the same of the first sentences of other pictures.
        chance: the share of sentences whose attributes are drawn.
    """

    drawn: float
    other: float
    speaks: float
    first: float
    other_first: float
    chance: float


def decide(store: FeatureStore, dataset: str, count: int, shots: int, seed: int) -> Decided:
    """Return `count` test pictures, evenly from all classes, as vMFPrototypes (REFINE 0) on a draw sees them."""
    phantom = find_phantom(dataset)
    with contextlib.redirect_stdout(sys.stderr):  # its notes are no part of the tables
        data = load_dataset(dataset, shots=shots, seed=seed)
    bank = load_prompts(data.key, LLM, data.classnames, N_PROMPTS)
    paths, truth = data.paths("test"), torch.tensor(data.labels("test"))
    chosen = torch.arange(min(count, len(paths))) * len(paths) // min(count, len(paths))
    paths, truth = [paths[i] for i in chosen.tolist()], truth[chosen]
    pictures = store.images(paths).double()
    names = [data.classnames[label] for label in truth.tolist()]
    drawn = [sample(dataset, name, seed_of(path))[1] for name, path in zip(names, paths, strict=True)]
    support, labels = store.images(data.paths("train")), torch.tensor(data.labels("train"))
    seen = posterior.gather(support, labels, len(bank))
    text = ensemble(torch.stack([store.texts(texts) for texts in bank]))
    w = posterior.mode(posterior.resultant(posterior.relative(text), seen, N_0))
    predicted, others = ((pictures - seen.centre) @ w.T).topk(2, dim=1).indices.T
    template = store.texts([TEMPLATE.replace("{}", name.replace("_", " ")) for name in data.classnames])
    return Decided(phantom, pictures, drawn, truth, predicted, others, w, template, seen.centre, bank)


def captions(store: FeatureStore, made: Decided, seed: int, count: int = N_PROMPTS) -> Sentences:
    """Return captions of each class in the phantom's own phrases, each of which names one attribute of a drawn case."""
    phantom, wanted = made.phantom, telling(made.phantom)
    texts: list[list[str]] = []
    named: list[list[frozenset[str]]] = []
    for label, classname in enumerate(phantom.classes):
        rng = np.random.default_rng([seed, label])
        some = [draw_one(rng, phantom, classname, wanted) for _ in range(count)]
        texts.append([write_caption(rng, phantom, [attribute]) for attribute in some])
        named.append([frozenset([attribute]) for attribute in some])
    return Sentences([store.texts(some).double() for some in texts], named)


def draw_one(rng: Generator, phantom: Phantom, classname: str, wanted: frozenset[str]) -> str:
    """Draw one of the wanted attributes of a case of a class; cases without any are drawn again."""
    while not (found := sorted(phantom.draw_attributes(rng, classname) & wanted)):
        pass
    return found[int(rng.integers(len(found)))]


def naming(phantom: Phantom) -> Callable[[str], frozenset[str]]:
    """Return a function from a sentence to the telling attributes that it names by rule."""
    names, wanted = namer(phantom.phrases, phantom.classes), telling(phantom)
    return lambda sentence: names(sentence) & wanted


def named_lines(dataset: str) -> list[list[str]]:
    """Return, for each of the LLM's sentences, a line for each attribute that it names by rule."""
    phantom = find_phantom(dataset)
    names = naming(phantom)
    bank = load_prompts(dataset, LLM, list(phantom.classes), N_PROMPTS)
    return [[f"{dataset}, {each}: {text}" for each in sorted(names(text))] for texts in bank for text in texts]


def bank_sentences(store: FeatureStore, made: Decided) -> Sentences:
    """Return the LLM's sentences, which name attributes by the rule of `datasets.phantoms.naming`."""
    names = naming(made.phantom)
    named = [[names(text) for text in texts] for texts in made.bank]
    return Sentences([store.texts(texts).double() for texts in made.bank], named)


def auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pairs of a true and a false one in which the true one has the higher score, a tie being half.

    Args:
        scores: [n].
        truth: [n], bool; if all or none are true there is no pair, and NaN is returned.

    >>> auroc(np.array([3.0, 1.0, 2.0]), np.array([True, False, True])), auroc(np.ones(2), np.array([True, False]))
    (1.0, 0.5)
    """
    true, false = scores[truth, None], scores[~truth]
    return float((true > false).mean() + (true == false).mean() / 2) if len(true) and len(false) else NAN


def first(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return whether the highest of scores [n] is a true one; NaN if n is 0."""
    return float(truth[scores.argmax()]) if len(scores) else NAN


def rank(made: Decided, sentences: Sentences, score: Callable[[Seen], Tensor]) -> list[Ranked]:
    """Return how each picture ranks the sentences of its predicted class by a score."""
    scores = all_scores(made, sentences, score)
    chances = [probabilities(made.phantom, classname) for classname in made.phantom.classes]
    found = []
    for i, (label, other) in enumerate(zip(made.predicted.tolist(), made.others.tolist(), strict=True)):
        named, drawn = sentences.named[label], made.drawn[i]
        whole = np.array([bool(some) and some <= drawn for some in named])
        clear = np.array([bool(some) and (some <= drawn or not some & drawn) for some in named])
        more = np.array([all(chances[label].get(a, 0) > chances[other].get(a, 0) for a in some) for some in named])
        naming = np.array([bool(some) for some in named])
        truth, own = whole[clear], scores[i]
        same = following(made.predicted.tolist(), i, OTHERS)
        theirs = [scores[j][clear] for j in same]
        found.append(
            Ranked(
                auroc(own[clear], truth),
                mean([auroc(each, truth) for each in theirs]),
                auroc(own[naming], (whole & more)[naming]),
                first(own[clear], truth),
                mean([first(each, truth) for each in theirs]),
                mean(truth.tolist()),
            )
        )
    return found


def rank_classes(made: Decided, sentences: Sentences) -> list[float]:
    """Return how what each class moved towards, from its template, ranks the sentences of all classes.

    It is the AUROC of sentences whose attributes are all more frequent in the class than in the mean of all classes,
    against those whose attributes are all less frequent.
    """
    chances = [probabilities(made.phantom, classname) for classname in made.phantom.classes]
    usual = {a: mean([some.get(a, 0.0) for some in chances]) for a in telling(made.phantom)}
    named = [some for of_class in sentences.named for some in of_class]
    scores = (
        unit(steps(made.template, made.directions)) @ torch.cat(sentence_directions(sentences.features)).T
    ).numpy()
    found = []
    for own, ranking in zip(chances, scores, strict=True):
        more = np.array([bool(some) and all(own.get(a, 0.0) > usual[a] for a in some) for some in named])
        less = np.array([bool(some) and all(own.get(a, 0.0) < usual[a] for a in some) for some in named])
        found.append(auroc(ranking[more | less], more[more | less]))
    return found


def all_scores(made: Decided, sentences: Sentences, score: Callable[[Seen], Tensor]) -> list[np.ndarray]:
    """Return the scores [n] of the sentences of its predicted class for each picture."""
    found: dict[int, np.ndarray] = {}
    for label, other in sorted(set(zip(made.predicted.tolist(), made.others.tolist(), strict=True))):
        (of,) = torch.where((made.predicted == label) & (made.others == other))
        gain = made.directions[label] - made.directions[other]
        seen = Seen(made.pictures[of], made.centre, gain, sentences.features, label, other)
        found |= dict(zip(of.tolist(), score(seen).numpy(), strict=True))
    return [found[i] for i in range(len(made.pictures))]


def following(classes: Sequence[int], i: int, most: int) -> list[int]:
    """Return the next `most` places of the class of place i, in a circle.

    >>> following([0, 1, 0, 0], 2, most=2)
    [3, 0]
    """
    around = [(i + step) % len(classes) for step in range(1, len(classes))]
    return [j for j in around if classes[j] == classes[i]][:most]


def mean(values: Sequence[float]) -> float:
    """Return the mean of numbers, NaN if there is none."""
    return float(np.mean(values)) if len(values) else NAN
