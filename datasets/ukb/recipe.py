"""Read the YAML that says which images and which participants make a data set."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

from dassl.errors import UserError
from dassl.reading import read_yaml
from datasets.catalogue import find_class

FOLDER = Path(__file__).parent
SETS = ("cmri", "lmri", "pmri")
PATTERN = re.compile(r"[A-Z]\d\d\w*(-[A-Z]\d\d\w*)?")


@dataclass(frozen=True)
class Choice:
    """A choice of slices or phases, and how many there must be at least.

    Attributes:
        at: places from 0, the first, to 1, the last.
        least: number.
    """

    at: Sequence[float]
    least: int

    def __post_init__(self):
        if not self.at or not all(0 <= place <= 1 for place in self.at):
            raise UserError(f"at: {self.at!r} is no list of places from 0 to 1")

    def of(self, count: int) -> list[int]:
        """Return the positions among `count` slices or phases, from 0.

        >>> Choice(at=[0, 0.5, 1], least=1).of(9)
        [0, 4, 8]
        """
        return sorted({round(place * (count - 1)) for place in self.at})


@dataclass(frozen=True)
class Images:
    """The choice of images in a zip, and of the grey values that become black and white."""

    field: int  # of UK Biobank
    series: str  # regular expression for all of SeriesDescription, upper and lower case alike
    without: Sequence[str]  # values of ImageType
    slices: Choice
    phases: Choice
    window: tuple[float, float]  # percentiles

    def __post_init__(self):
        low, high = self.window
        if not 0 <= low < high <= 100:
            raise UserError(f"window: {self.window!r} is no pair of rising percentiles")
        re.compile(self.series)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of a hash of this choice."""
        return sha256(repr(self).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Participants:
    """The choice of participants, and the rules for their classes."""

    active_after: date
    diagnosed: str
    several: str
    classes: dict[str, Sequence[str]]  # diseases by priority, with patterns of ICD-10 codes
    normal: str
    normal_without: Sequence[str]

    def __post_init__(self):
        if not isinstance(self.active_after, date):
            raise UserError(f"active_after: {self.active_after!r} is no day such as 2020-07-01")
        for key, known in (("diagnosed", ("ever", "by visit")), ("several", ("first", "drop"))):
            if getattr(self, key) not in known:
                raise UserError(f"{key}: {getattr(self, key)!r} is none of {', '.join(known)}")
        for pattern in (p for patterns in (*self.classes.values(), self.normal_without) for p in patterns):
            if not PATTERN.fullmatch(str(pattern)):
                raise UserError(f"{pattern!r} is no ICD-10 prefix such as I42 or I110, nor a range such as I20-I25")


@dataclass(frozen=True)
class Recipe:
    """Everything that one data set is made by."""

    name: str  # in the registry of data sets
    classes: Sequence[str]  # in the order of labels
    images: Images
    participants: Participants


def read_recipe(key: str, path: Path | None = None) -> Recipe:
    """Return the recipe of "cmri", "lmri" or "pmri".

    Args:
        key: of the data set.
        path: file of one's own; None for datasets/ukb/<key>.yaml.

    Raises:
        UserError: there is no such file, or it is no yaml.
        UserError: it has unknown keys or values, or other classes than the data set.
    """
    own = FOLDER / f"{key}.yaml"
    path = path or own
    if not path.is_file():
        raise UserError(f"Expected a recipe at {path}, but there is no such file: start from a copy of {own}.")
    found = read_yaml(path)
    try:
        images, people = found["images"], found["participants"]
        choices = {which: Choice(**images[which]) for which in ("slices", "phases")}
        normal = people.pop("normal")
        recipe = Recipe(
            name=key.upper(),
            classes=find_class(key).classes,
            images=Images(**images | choices),
            participants=Participants(**people, normal=normal["class"], normal_without=normal["without"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"Expected a recipe like {own} in {path}, but found another ({said}): correct it.") from error
    named = [*recipe.participants.classes, recipe.participants.normal]
    if sorted(named) != sorted(recipe.classes):
        raise UserError(
            f"Expected the classes {', '.join(recipe.classes)} in {path}, but found {', '.join(named)}: correct it, or "
            f"change datasets/{key}.py too."
        )
    return recipe


def matches(code: str, patterns: Sequence[str]) -> bool:
    """Tell whether an ICD-10 code begins with one of the prefixes, or with one from a range.

    >>> matches("I251", ["I20-I25"]), matches("I26", ["I20-I25"]), matches("I48", ["I481"])
    (True, False, False)
    """
    for pattern in patterns:
        first, _, last = pattern.partition("-")
        last = last or first
        if first <= code[: len(first)] and code[: len(last)] <= last:
            return True
    return False
