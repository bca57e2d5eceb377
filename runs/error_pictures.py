"""The pictures of a run's most confident errors: what lies in its folder errors/, written and read in one place.

    errors/errors.json        classes, probabilities, kind of saliency
    errors/1.jpg              the picture of the most confident error as the tower sees it
    errors/1_saliency.jpg     the same with what spoke for the predicted class

They are images of the data set, perhaps of patients, but none of their names. The folder may come from anyone.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from dassl.errors import UserError
from dassl.names import check_name
from dassl.reading import read_bytes, read_json
from dassl.writing import check_within, write_json
from runs.predictions import LIMIT, PREDICTIONS

FOLDER, INDEX = "errors", "errors.json"
MOST = 50  # errors of a run
LARGEST_INDEX = 64 * 1024  # bytes
LARGEST_PICTURE = 64 * 1024  # ours have about 4,000
KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}  # first bytes -> type
REMEDY = "run python -m explain.errors on its run again"


class ConfidentError(NamedTuple):
    """A test image that was predicted wrongly: true and predicted class, and the probability of the latter."""

    true: str
    predicted: str
    probability: float


class ErrorPictures(NamedTuple):
    """The content of an errors.json.

    Attributes:
        kind: of the saliency, as in `explain.saliency`.
        phantom: the pictures are rendered.
        predictions: digest of the predictions.csv that the errors are of.
        errors: the most confident first.
    """

    kind: str
    phantom: bool
    predictions: str
    errors: tuple[ConfidentError, ...]


def picture_paths(run: Path, number: int) -> tuple[Path, Path]:
    """Return the paths of the picture and of the saliency of an error of a run; the first has number 1.

    >>> [path.as_posix() for path in picture_paths(Path("seed1"), 2)]
    ['seed1/errors/2.jpg', 'seed1/errors/2_saliency.jpg']
    """
    return run / FOLDER / f"{number}.jpg", run / FOLDER / f"{number}_saliency.jpg"


def prepare(run: Path) -> list[tuple[Path, Path]]:
    """Remove what an earlier call has left in a run's folder of errors; return the paths of MOST pairs of pictures.

    Raises:
        UserError: the folder is a link.
    """
    pairs = [picture_paths(run, number) for number in range(1, MOST + 1)]
    index = run / FOLDER / INDEX
    check_within(index, run)
    for path in (index, *(path for pair in pairs for path in pair)):
        path.unlink(missing_ok=True)
    return pairs


def digest_of_predictions(run: Path) -> str:
    """Return 16 hex digits that tell the predictions of a run from others."""
    return sha256(read_bytes(run / PREDICTIONS, LIMIT, links=False)).hexdigest()[:16]


def write_index(run: Path, found: ErrorPictures) -> None:
    """Write the errors.json of a run."""
    document = found._asdict() | {"errors": [error._asdict() for error in found.errors]}
    write_json(document, run / FOLDER / INDEX, within=run)


def read_index(run: Path) -> ErrorPictures:
    """Return the errors.json of a run.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is none of ours, or of other predictions than the run's; names it.
    """
    path = run / FOLDER / INDEX
    if path.parent.is_symlink():
        raise UserError(f"Expected a folder {path.parent}, but it is a symbolic link: put the folder itself there.")
    found = read_json(path, LARGEST_INDEX, links=False)
    try:
        errors = tuple(_error(each, path) for each in found["errors"])
        index = ErrorPictures(
            check_name(found["kind"], "kind of saliency", str(path)), found["phantom"], found["predictions"], errors
        )
    except (KeyError, TypeError) as error:
        raise _unlike(path, "something is missing, or of another type") from error
    if not isinstance(index.phantom, bool) or len(errors) > MOST:
        raise _unlike(path, f"it has more than {MOST} errors, or does not say whether they are phantoms")
    if index.predictions != digest_of_predictions(run):
        raise _unlike(path, "it is of other predictions")
    return index


def _error(found: Any, path: Path) -> ConfidentError:
    true, predicted = (check_name(found[key], "class", str(path)) for key in ("true", "predicted"))
    probability = found["probability"]
    if isinstance(probability, bool) or not isinstance(probability, (int, float)) or not 0 <= probability <= 1:
        raise _unlike(path, "a probability is none")
    return ConfidentError(true, predicted, float(probability))


def _unlike(path: Path, words: str) -> UserError:
    return UserError(f"Expected the most confident errors of a run in {path}, but {words}: {REMEDY}.")


def read_picture(path: Path) -> tuple[str, bytes]:
    """Return type and content of a JPEG or PNG, which is told by its first bytes and not decoded.

    Raises:
        UserError: there is none, or it is of another kind or too large; names it.
    """
    try:
        content = read_bytes(path, LARGEST_PICTURE, links=False)
    except FileNotFoundError as error:
        raise UserError(f"Expected the picture {path}, but it is not there: {REMEDY}.") from error
    for first, kind in KINDS.items():
        if content.startswith(first):
            return kind, content
    raise UserError(f"Expected a JPEG or PNG in {path}, but it begins as neither: {REMEDY}.")
