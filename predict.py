"""Classify pictures with a finished run of any method.

    python predict.py output/btmri/shots_16/CoOp_BiomedCLIP/nctx4_cscFalse_ctpend/seed1 scan.png folder/ list.csv

A folder stands for the pictures in it, at any depth, without masks (in folders called `mask` beside pictures); a table
(.csv, .tsv) for those in its column of paths, relative to its own folder. The run's backbone, reader and preprocessing
are used, and refused if they are not what its record tells. A picture that cannot be read is one line. The exit status
is 1 if none could be read.

`--out` writes the probability of each class, as .csv or .json. `--set coverage 0.9` adds to each picture a set of
classes that holds the right one for nine in ten pictures like the run's own (docs/PREDICTION.md). `--top 3` adds the
sentences of the LLM that speak most for the predicted class, against the second one.
"""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import toolbox  # noqa: F401, its dassl comes first
from dassl.console import printable
from dassl.errors import UserError, command
from dassl.names import shared_name
from dassl.sheet import csv_lines
from dassl.writing import atomic_write, write_json
from runs.options import positive

if TYPE_CHECKING:
    from runs.calibration import Calibration
    from runs.pictures import Picture
    from runs.predictor import Found, Prediction, Predictor

MOST_ROWS = 40  # on the screen
FEW_ROWS = 10  # up to which the third class is shown too
COVERAGE = "coverage"


class Answer(NamedTuple):
    """A picture, what the run says about it, its set of classes, and the sentences that speak for it."""

    name: str
    prediction: "Prediction"
    members: list[str] | None = None
    sentences: Sequence[str] = ()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run", type=Path, help="folder of the run, such as .../seed1")
    p.add_argument("pictures", nargs="+", help="pictures, folders of them, or tables (.csv, .tsv) that list them")
    p.add_argument("--out", type=Path, help="file for all figures, .csv or .json")
    p.add_argument("--top", type=positive, metavar="N", help="sentences that speak most for the predicted class")
    p.add_argument("--set", nargs=2, metavar=(COVERAGE, "0.9"), help="add sets of classes of this coverage")
    p.add_argument("--device", choices=("cpu", "cuda"), help="the GPU if there is one, by default")
    p.add_argument("--root", default="", help="folder of the data sets, if it has moved")
    p.add_argument("--backbone", default="", help="place of the backbone, if it has moved, such as local-dir:/path")
    p.add_argument("--options", nargs="+", default=[], metavar="KEY VALUE", help="settings that no run is trusted with")
    return p


def coverage_of(words: Sequence[str]) -> float:
    """Return the coverage that `--set` asks for; a UserError if it is none."""
    name, value = words
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if name != COVERAGE or not 0 < found < 1:
        raise UserError(f"Expected --set {COVERAGE} and a number between 0 and 1, but got {name} {value}: correct it.")
    return found


def check_out(out: Path | None, pictures: Sequence[str]) -> None:
    """Raise a UserError unless the file of figures is to be CSV or JSON, and none of those that are read."""
    if not out:
        return
    if out.suffix.lower() not in (".csv", ".json") or out.is_dir():
        raise UserError(f"Expected a file that ends in .csv or .json for --out, but got {out}: give it such a name.")
    if out.resolve() in [Path(word).resolve() for word in pictures]:
        raise UserError(f"Expected --out to be a new file, but {out} lists the pictures: give it another name.")


def introduce(predictor: "Predictor") -> None:
    """Print which run predicts, on what data it stands, and its classes."""
    from datasets.base import PHANTOM_NOTICE

    names, classes = predictor.record.names, predictor.classnames
    backbone = names.get("backbone", shared_name(predictor.backbone.name))
    print(
        f"Run: {names.get('trainer')} with {backbone} on {names.get('dataset')}, {names.get('shots')} shots, "
        f"seed {names.get('seed')}"
    )
    print(f"Classes ({len(classes)}): {', '.join(classes)}")
    if predictor.record.phantom_images:
        print(PHANTOM_NOTICE)
    if predictor.record.phantom_backbone:
        print("*** PHANTOM BACKBONE: trained on rendered images; what it predicts says nothing about patients ***")


def calibration_of(predictor: "Predictor", coverage: float) -> "Calibration":
    """Calibrate a run, print what that gives, and keep it in the run's folder."""
    from runs import calibration

    found = calibration.calibrate(predictor, coverage)
    for line in (*found.lines(len(predictor.classnames)), calibration.caution(predictor)):
        if line:
            print(line)
    try:
        calibration.write(found, predictor.folder)
    except UserError as error:  # the folder may be another's, or on a disk that is read-only
        print(f"Not kept in the run's folder: {error}")
    return found


def answers_of(
    predictor: "Predictor", pictures: Sequence["Picture"], calibration: "Calibration | None", top: int
) -> list[Answer]:
    """Return the answers for pictures, in their order."""
    from runs import conformal
    from runs.predictor import Prediction

    found = predictor.features([each.path for each in pictures if each.path])
    probabilities = predictor.probabilities(found.features)
    members: dict[str, list[str]] = {}
    if calibration:
        masks = conformal.sets(probabilities, calibration.threshold).tolist()
        names = ([n for n, member in zip(predictor.classnames, mask, strict=True) if member] for mask in masks)
        members = dict(zip(found.paths, names, strict=True))
    said = sentences_of(predictor, found, probabilities, top)
    predicted = iter(predictor.answers([each.path for each in pictures if each.path], found, probabilities))
    answers = []
    for each in pictures:
        prediction = next(predicted) if each.path else Prediction("", [], error=each.error)
        answers.append(Answer(each.name, prediction, members.get(each.path), said.get(each.path, ())))
    return answers


def sentences_of(predictor: "Predictor", found: "Found", probabilities: Any, top: int) -> dict[str, Sequence[str]]:
    """Return the sentences that speak for the predicted class of each picture, by path; none for `top` 0."""
    if not top or not found.paths:
        return {}
    from explain.sentences import speaking_sentences

    predicted, runner_up = probabilities.topk(2).indices.T
    said = speaking_sentences(predictor, found.features, predicted, runner_up, top)
    return dict(zip(found.paths, ([str(each) for each in one] for one in said), strict=True))


def table_of(answers: Sequence[Answer], classes: Sequence[str]) -> str:
    """Return the table for the screen: a row for each of the first pictures that could be read."""
    from tabulate import tabulate

    shown = answers[:MOST_ROWS]
    headers = ["picture", "predicted", "probability", "margin", "runner-up"]
    headers += ["then"] if len(shown) <= FEW_ROWS and len(classes) > 2 else []
    headers += ["set"] if any(each.members is not None for each in shown) else []
    rows = []
    for name, prediction, members, _ in shown:
        share = dict(zip(classes, prediction.probabilities, strict=True))
        first, second = prediction.predicted, prediction.runner_up
        row = [name, first, f"{share[first]:.3f}", f"{prediction.margin:.3f}", f"{second} {share[second]:.3f}"]
        if "then" in headers:
            third = max((one for one in classes if one not in (first, second)), key=share.__getitem__)
            row.append(f"{third} {share[third]:.3f}")
        row += ["; ".join(members or ()) or "(none)"] if "set" in headers else []
        rows.append([printable(cell) for cell in row])
    return tabulate(rows, headers, disable_numparse=True)


def wrapped(sentence: str) -> str:
    """Return a sentence as an item of a list, in lines that fit the terminal."""
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 120))
    return textwrap.fill(sentence, width, initial_indent="  * ", subsequent_indent="    ")


def show(answers: Sequence[Answer], classes: Sequence[str], out: Path | None) -> None:
    """Print the table, the sentences, and what could not be read."""
    good = [each for each in answers if not each.prediction.error]
    if good:
        print(f"\n{table_of(good, classes)}\n")
    for each in good[:MOST_ROWS]:
        if each.sentences:
            name, first, second = map(printable, (each.name, each.prediction.predicted, each.prediction.runner_up))
            print(f"{name}: {first} rather than {second}; the sentences most like it:")
            print(*(wrapped(printable(sentence)) for sentence in each.sentences), "", sep="\n")
    if len(good) > MOST_ROWS:
        rest = f"{out} has all" if out else "--out FILE.csv writes all"
        print(f"{MOST_ROWS} of {len(good)} pictures are shown; {rest}")
    for each in answers:
        if each.prediction.error:
            print(f"Not read: {printable(each.name)}: {printable(each.prediction.error)}", file=sys.stderr)


def write_csv(answers: Sequence[Answer], classes: Sequence[str], phantom: bool, out: Path) -> None:
    """Write a row for each picture: its class, probabilities, margin, set, sentences, or why it could not be read.

    With `phantom`, each row says so.
    """
    extra = {"set": any(a.members is not None for a in answers), "sentences": any(a.sentences for a in answers)}
    extra["phantom"] = phantom
    chosen = [name for name, there in extra.items() if there]
    rows = [["path", "predicted", "margin", "runner_up", *classes, *chosen, "error"]]
    for name, found, members, sentences in answers:
        cells: dict[str, str] = {"set": "; ".join(members or ()), "sentences": " | ".join(sentences), "phantom": "yes"}
        figures = [f"{p:.6g}" for p in found.probabilities] or [""] * len(classes)
        margin = "" if found.error else f"{found.margin:.6g}"
        rows.append(
            [name, found.predicted, margin, found.runner_up, *figures, *(cells[key] for key in chosen), found.error]
        )
    with atomic_write(out, newline="") as file:
        file.writelines(csv_lines(rows, end="\r\n"))


def write_document(
    answers: Sequence[Answer], predictor: "Predictor", calibration: "Calibration | None", out: Path
) -> None:
    """Write the run's facts and all answers as JSON."""
    keys = ("trainer", "dataset", "backbone", "shots", "seed", "setting", "subsample")
    document: dict[str, Any] = {
        "run": {key: predictor.record.names.get(key) for key in keys},
        "phantom": predictor.phantom,
        "classes": predictor.classnames,
    }
    if calibration:
        document["coverage"] = {"asked": calibration.coverage, "reached_on_test_images": calibration.reached}
    document["pictures"] = [_document(each, predictor.classnames) for each in answers]
    write_json(document, out)


def _document(answer: Answer, classes: Sequence[str]) -> dict[str, Any]:
    name, found, members, sentences = answer
    if found.error:
        return {"path": name, "error": found.error}
    told: dict[str, Any] = {"path": name, "predicted": found.predicted, "margin": found.margin}
    told |= {"runner_up": found.runner_up, "probabilities": dict(zip(classes, found.probabilities, strict=True))}
    told |= {} if members is None else {"set": members}
    return told | ({"sentences": list(sentences)} if sentences else {})


@command
def main(argv: list[str] | None = None) -> int:
    """Return 1 if no picture could be read."""
    args = parser().parse_args(argv)
    check_out(args.out, args.pictures)
    coverage = coverage_of(args.set) if args.set else None
    from runs.pictures import find_pictures  # PyTorch is not needed to print --help
    from runs.predictor import Predictor

    links = dict(zip(args.options[::2], args.options[1::2], strict=False)).get("DATASET.LINKS", "inside")
    pictures, lines = find_pictures(args.pictures, links)
    for line in lines:
        print(line)
    predictor = Predictor.from_run(args.run, args.device, args.root, args.backbone, args.options)
    introduce(predictor)
    calibration = None if coverage is None else calibration_of(predictor, coverage)
    answers = answers_of(predictor, pictures, calibration, args.top or 0)
    if args.out and args.out.suffix.lower() == ".csv":
        write_csv(answers, predictor.classnames, predictor.phantom, args.out)
    elif args.out:
        write_document(answers, predictor, calibration, args.out)
    show(answers, predictor.classnames, args.out)
    return int(all(each.prediction.error for each in answers))


if __name__ == "__main__":
    sys.exit(main())
