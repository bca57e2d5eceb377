"""The sentences that speak for a class: for a picture, and for what a method has learned of the class.

    python -m explain.sentences RUN                              # what each class moved towards and away from
    python -m explain.sentences RUN --class "glioma tumor" --count 3 --llm gpt4

Shapes: N pictures, C classes, n_c sentences of class c, D dimensions. All functions compute in float64.

Every source is taken relative to its own centre, since images and texts lie apart (`trainers.posterior`): a picture v
is x = v - m_V, less the mean support image; a sentence s is y = s - m_T, less the mean over classes of the means of
their sentences. Only directions count, and a hat is a vector divided by its length.

For a picture that is seen as class c, with d as the runner-up, let g be the direction in which the logit of c gains on
that of d. The score of a sentence of c is its cosine with the picture, weighted by how far it points from d to c:

    score = x^ . y^ (1 + y^ . g^)

A sentence that the picture shows counts twice if it says just what tells c from d, and not at all if it says the
opposite. How this was chosen, and how often what a sentence names is really drawn on phantoms, stands in
docs/EXPLANATION.md (python -m reproduce sentences).

What a class moved towards and away from, which the command prints, is `explain.moved`.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from dassl.errors import UserError, command
from dassl.names import shared_name
from explain.directions import class_directions
from explain.moved import movements, told
from explain.sources import Explained, bank_of, image_centre
from explain.spoken import Spoken, sentence_directions, spoken, strongest, unit
from runs.options import positive

AT_ONCE = 64  # pictures whose gradients are computed together


def sentence_scores(pictures: Tensor, gains: Tensor, directions: Tensor) -> Tensor:
    """Return x^ . y^ (1 + y^ . g^) [N, n], float64.

    Args:
        pictures: x [N, D], centred.
        gains: g [N, D], the direction in which a picture's class gains on the runner-up; 0 without one.
        directions: y^ [n, D] of the sentences of that class.

    >>> sentence_scores(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]]), torch.eye(2))
    tensor([[0.6000, 1.6000]], dtype=torch.float64)
    """
    y = directions.double()
    return unit(pictures.double()) @ y.T * (1 + unit(gains.double()) @ y.T)


def ranked_sentences(
    features: Tensor,
    classes: Tensor,
    gains: Tensor,
    texts: Sequence[Sequence[str]],
    sentences: Sequence[Tensor],
    centre: Tensor,
    count: int = 3,
) -> list[list[Spoken]]:
    """Return, for each picture, the sentences of its class that speak most for it against the runner-up.

    A sentence that stands twice in a bank is told once, and of equal scores the first in the bank comes first. Only
    scores above 0 are told, so that a picture may have fewer than `count` sentences, and none if it shows none.

    Args:
        features: unit image features [N, D].
        classes: the class of each picture [N].
        gains: direction [N, D] in which that class gains on the runner-up; its length does not matter, and 0 stands for
            no runner-up. For any method, `gain_directions`.
        texts: sentences of each class.
        sentences: their unit features [n_c, D].
        centre: m_V [D], the mean support image; zeros where no image has been seen.
        count: most sentences of a picture.

    >>> texts, sentences = [["a ring", "a mass"], ["no ring", "no mass"]], [torch.eye(2), -torch.eye(2)]
    >>> picture, gain = torch.tensor([[0.6, 0.8]]), torch.tensor([[0.0, 1.0]])
    >>> (found,) = ranked_sentences(picture, torch.tensor([0]), gain, texts, sentences, centre=torch.zeros(2))
    >>> [(each.text, round(each.score, 2)) for each in found]
    [('a mass', 1.6), ('a ring', 0.6)]
    """
    x, directions = features.double() - centre.double(), sentence_directions(sentences)
    found = []
    for i, label in enumerate(classes.tolist()):
        (scores,) = sentence_scores(x[i : i + 1], gains[i : i + 1], directions[label]).tolist()
        found.append(strongest(spoken(texts[label], scores, label), count))
    return found


def gain_directions(logits: Callable[[Tensor], Tensor], features: Tensor, classes: Tensor, others: Tensor) -> Tensor:
    """Return the gradients [N, D] of the logit of a class less that of another at unit image features [N, D].

    Args:
        logits: from features [N, D] to logits [N, C], each row of its own image alone.
        features: unit image features [N, D].
        classes: [N].
        others: [N]; where it is the same class, the gradient is 0.

    >>> weights = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    >>> gain_directions(lambda v: v @ weights.T, torch.tensor([[0.6, 0.8]]), torch.tensor([0]), torch.tensor([1]))
    tensor([[ 3., -1.]])
    """

    def difference(points: Tensor) -> Tensor:
        found = logits(points)
        pair = torch.stack([classes, others], dim=1).to(found.device)
        return found.gather(1, pair) @ found.new_tensor([[1.0], [-1.0]])

    return class_directions(difference, features, torch.zeros_like(classes), contrast=False)


def speaking_sentences(
    run: Explained, features: Tensor, classes: Tensor, runners_up: Tensor, count: int = 3, llm: str = ""
) -> list[list[Spoken]]:
    """Return, for each picture, the sentences that speak most for its class against the runner-up.

    Args:
        run: a finished run of any method.
        features: unit image features [N, D].
        classes: that are predicted [N].
        runners_up: [N]; the class itself where there is no other one.
        count: most sentences of a picture.
        llm: name of a folder of datasets/prompts/; "" for that of the run.

    Raises:
        UserError: there is no such bank of sentences, or it lacks a class.
    """
    bank, centre = bank_of(run.trainer, llm), image_centre(run)
    found = []
    for v, c, d in zip(*(each.cpu().split(AT_ONCE) for each in (features, classes, runners_up)), strict=True):
        gains = gain_directions(run.logits, v, c, d)
        found += ranked_sentences(v, c, gains, bank.texts, bank.features, centre, count)
    return found


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print what the classes of a run moved towards and away from."""
    p = argparse.ArgumentParser(
        prog="python -m explain.sentences",
        description=(__doc__ or "").partition("\n\nShapes")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("run", type=Path, help="folder of a finished run")
    p.add_argument("--class", dest="classes", nargs="+", default=[], metavar="NAME", help="default: all classes")
    p.add_argument("--count", type=positive, default=5, help="sentences on each side (default: 5)")
    p.add_argument("--llm", default="", help="folder of datasets/prompts/ (default: that of the run)")
    p.add_argument("--root", default="", help="folder of the data sets, if it has moved")
    p.add_argument("--backbone", default="", help="place of the backbone, if it has moved, such as local-dir:/path")
    args = p.parse_args(argv)
    from runs.predictor import Predictor

    run: Explained = Predictor.from_run(args.run, root=args.root, backbone=args.backbone)
    trainer = run.trainer
    names = list(trainer.dm.dataset.classnames)
    if unknown := [name for name in args.classes if name not in names]:
        raise UserError(f"Expected --class to be one of {', '.join(names)}, but got {unknown[0]!r}: correct it.")
    found = movements(run, bank_of(trainer, args.llm), args.count)
    phantom = " (phantom)" if run.phantom else ""
    print(f"{trainer.cfg.TRAINER.NAME} on {trainer.cfg.DATASET.NAME}{phantom}, {shared_name(trainer.backbone.name)}\n")
    for label, movement in enumerate(found):
        if not args.classes or names[label] in args.classes:
            print(told(movement, label, names, shutil.get_terminal_size((100, 24)).columns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
