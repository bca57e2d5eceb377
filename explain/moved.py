"""What learning moved a class towards and away from, in sentences.

A method moved each class from one direction to another. Both are taken relative to the other classes of their own
source: what all classes have in common, and a longer vector, is no movement. The score of a sentence, of whatever
class, is its cosine with the difference, where sentences are relative to their own centre (`explain.spoken`).
"""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dassl.console import printable
from explain.directions import class_directions
from explain.sources import Bank, Explained, image_centre
from explain.spoken import Spoken, sentence_directions, spoken, strongest, unit
from trainers.base.prompt_learner import PromptLearner
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import TEMPLATE, template_features
from trainers.posterior import relative

STILL = 1e-4  # of the distance between classes: a shorter way is rounding


class Movement(NamedTuple):
    """What a class moved towards and away from, the strongest first, and how far.

    Attributes:
        towards: sentences with a score above 0.
        away: sentences with a score below 0.
        distance: in units of the root mean square distance of the classes from their mean.
    """

    towards: list[Spoken]
    away: list[Spoken]
    distance: float


def steps(before: Tensor, after: Tensor) -> Tensor:
    """Return how the classes moved [C, D], in units of the distance between classes; 0 where it is rounding.

    Directions are taken relative to those of the other classes (`trainers.posterior.relative`): what all classes have
    in common, and a longer vector, is no movement. A class of its own has nothing to be compared with: 0.

    Args:
        before: directions of the classes [C, D], such as those of untrained prompts.
        after: directions of the classes [C, D] that were learned; they may be of another source, and of any length.

    >>> steps(torch.eye(2), torch.tensor([[0.0, 7.0], [7.0, 0.0]]))
    tensor([[-1.4142,  1.4142],
            [ 1.4142, -1.4142]], dtype=torch.float64)
    """
    moved = relative(after) - relative(before)
    return torch.where(moved.norm(dim=-1, keepdim=True) < STILL, 0.0, moved)


def moved_sentences(
    before: Tensor, after: Tensor, texts: Sequence[Sequence[str]], sentences: Sequence[Tensor], count: int = 3
) -> list[Movement]:
    """Return, for each class, the sentences that it moved towards and away from.

    Args:
        before, after: directions of the classes [C, D], as for `steps`.
        texts: sentences of each class.
        sentences: their unit features [n_c, D].
        count: most sentences on each side.

    >>> eye = torch.eye(3)
    >>> texts, sentences = [["a ring"], ["a tail"], ["a fold"]], [eye[:1], eye[1:2], eye[2:]]
    >>> first, second, third = moved_sentences(eye, eye[[1, 0, 2]], texts, sentences)
    >>> [each.text for each in first.towards], [each.text for each in first.away], round(first.distance, 2)
    (['a tail'], ['a ring'], 1.73)
    >>> third
    Movement(towards=[], away=[], distance=0.0)
    """
    directions = sentence_directions(sentences)
    found = []
    for step in steps(before, after):
        scores = [(some @ unit(step)).tolist() for some in directions]
        everything = [each for label, some in enumerate(texts) for each in spoken(some, scores[label], label)]
        against = [each._replace(score=-each.score) for each in everything]
        away = [each._replace(score=-each.score) for each in strongest(against, count)]
        found.append(Movement(strongest(everything, count), away, step.norm().item()))
    return found


@torch.no_grad()
def untrained_prompts(trainer: PromptTrainer) -> Tensor:
    """Return the features [C, D] of the prompts with the context that training started from.

    A context of random numbers says nothing: then they are those of "a photo of a {}.", and a line says so.
    """
    s, names = trainer.settings, trainer.dm.dataset.classnames
    if not s.CTX_INIT:
        print(f'Sentences: the context started from random numbers; compared with "{TEMPLATE}"')
        return template_features(trainer, names)
    words = (s.N_CTX, s.CTX_INIT, s.CSC, s.CLASS_TOKEN_POSITION)
    learner = PromptLearner(trainer.backbone, names, *words).to(trainer.device)
    return trainer.backbone.encode_tokens(learner(), learner.tokens)


def movements(run: Explained, bank: Bank, count: int = 3) -> list[Movement]:
    """Return what each class of a finished run moved towards and away from.

    A method that learns prompts moved from its untrained to its learned prompts, whatever it classifies by. Any other
    moved from the zero-shot direction, that of "a photo of a {}.", to the gradient of its logit (at the mean support
    image, where that depends on the image).
    """
    trainer = run.trainer
    if isinstance(trainer, PromptTrainer):
        before = untrained_prompts(trainer)
        with torch.no_grad():
            after = trainer.prompt_features()
    else:
        before = template_features(trainer, trainer.dm.dataset.classnames)
        place, every = unit(image_centre(run)).float(), torch.arange(len(before))
        after = class_directions(run.logits, place.expand(len(before), -1), every, contrast=False)
    return moved_sentences(before.cpu(), after.cpu(), bank.texts, bank.features, count)


def told(movement: Movement, label: int, classnames: Sequence[str], width: int = 100) -> str:
    """Return a movement of a class in lines for a terminal of so many columns; a sentence of another class names it."""
    name = printable(classnames[label])
    if not (movement.towards or movement.away):
        return f"{name}: did not move\n"
    lines = [f"{name}: moved by {movement.distance:.2f} times the distance between classes"]
    for words, side in (("towards", movement.towards), ("away", movement.away)):
        for i, each in enumerate(side):
            about = "" if each.label == label else f"({printable(classnames[each.label])}) "
            begin = f"  {'' if i else words:8}{each.score:+.2f}  "
            text = f"{about}{printable(each.text)}"
            lines.append(textwrap.fill(text, width, initial_indent=begin, subsequent_indent=" " * len(begin)))
    return "\n".join(lines) + "\n"
