"""Keep a list of finished visits, so that no work is done twice after a run was killed or more zips came."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dassl.errors import UserError
from dassl.reading import MB, read_text
from dassl.writing import atomic_write, check_within, make_folder, open_to_append

LIMIT = 1024 * MB
PSEUDONYM = re.compile(r"[0-9a-f]{16}")
IMAGE = re.compile(r"([0-9a-f]{16})_([0-9]{1,2})_s[0-9]{2,4}_p[0-9]{2,4}\.png")


@dataclass(frozen=True)
class Visit:
    """A visit whose images are all on disk, in the folder of its class.

    Attributes:
        participant: pseudonym.
        instance: number of the visit.
        classname: class of the participant.
        images: file names.
    """

    participant: str
    instance: int
    classname: str
    images: list[str]

    @property
    def key(self) -> tuple[str, int]:
        """Pseudonym and instance."""
        return self.participant, self.instance

    def paths(self) -> list[str]:
        """Return the paths of the images, as in a split file."""
        return [f"{self.classname.replace(' ', '_')}/{name}" for name in self.images]


class Journal:
    """The finished visits of a folder.

    The file has one line of JSON for each, after a line that says how they were made.
    """

    def __init__(self, folder: Path, made_with: dict[str, str], classes: Sequence[str]):
        """Read the journal, or begin a new one.

        Args:
            folder: of the data set; the images lie in a folder of the same name in it.
            made_with: fingerprint of each thing that must be the same for all images, such as "salt".
            classes: names that a visit may have.

        Raises:
            UserError: the folder holds a split that no run of this command made.
            UserError: the images in the folder were made with another salt or other choices.
            UserError: a line is not one that this class writes; names file and line.
        """
        self.folder = folder
        self.path = folder / "prepared.jsonl"
        self.images = folder / folder.name
        self.made_with, self.classes = made_with, classes
        self.visits: dict[tuple[str, int], Visit] = {}
        split = folder / f"split_{folder.name}.json"
        if not self.path.exists():
            if split.exists():
                raise UserError(f"Expected no split at {split}, but found one made by hand: choose another --out.")
            return
        text = read_text(self.path, LIMIT, links=False)
        lines = text.split("\n")
        lines.pop()  # "" after the last line, or what was written of it when a run was killed
        for number, line in enumerate(lines[1:], 2):
            visit = self._visit(line, number)
            self.visits[visit.key] = visit
        head = self._head(lines[0]) if lines else made_with
        for what, value in head.items() if self.visits else ():
            if value != made_with[what]:
                raise UserError(
                    f"Expected the {what} that the images in {folder} were made with, but this run has another: "
                    "restore it, or choose another --out."
                )

    def add(self, visit: Visit) -> None:
        """Add a finished visit to the file."""
        self.visits[visit.key] = visit
        with open_to_append(self.path, private=True) as file:
            file.write((json.dumps(asdict(visit)) + "\n").encode())

    def forget(self, participants: set[str]) -> None:
        """Delete all images of some participants, also those that a killed run left."""
        for path in self._files() if participants else ():
            if path.name.lstrip(".").split("_")[0] in participants:
                path.unlink()
        self._write(visit for visit in self.visits.values() if visit.participant not in participants)

    def tidy(self, classes: dict[str, str]) -> None:
        """Move images of participants whose class has changed, and drop visits whose images are not all there.

        Args:
            classes: class by pseudonym. Images of participants without one stay where they are.

        Raises:
            UserError: a folder of images is a link to elsewhere.
        """
        for classname in self.classes:
            check_within(self.images / classname.replace(" ", "_") / "image", self.folder)
        kept = []
        for old in self.visits.values():
            new = replace(old, classname=classes.get(old.participant, old.classname))
            pairs = [(self.images / a, self.images / b) for a, b in zip(old.paths(), new.paths(), strict=True)]
            for before, after in pairs:
                if before != after and _is_file(before):
                    make_folder(after.parent, private=True)
                    before.replace(after)
            if all(_is_file(after) for _, after in pairs):
                kept.append(new)
        self._write(kept)

    def _files(self) -> Iterable[Path]:
        """Yield all files in the folders of classes, also of former classes; links are not followed."""
        if self.images.is_symlink() or not self.images.is_dir():
            return
        for folder in self.images.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                yield from (path for path in folder.iterdir() if path.is_symlink() or not path.is_dir())

    def _head(self, line: str) -> dict[str, str]:
        """Return what the first line says the images were made with."""
        found = self._json(line, 1)
        if found.keys() != self.made_with.keys():
            raise self._refusal(1, f"the keys {', '.join(self.made_with)}")
        return found

    def _visit(self, line: str, number: int) -> Visit:
        """Return the visit in a line, which must be one that `add` writes: it decides which files are moved."""
        found = self._json(line, number)
        if found.keys() != Visit.__dataclass_fields__.keys():
            raise self._refusal(number, f"the keys {', '.join(Visit.__dataclass_fields__)}")
        visit = Visit(**found)
        if not isinstance(visit.participant, str) or not PSEUDONYM.fullmatch(visit.participant):
            raise self._refusal(number, "a participant of 16 hexadecimal digits")
        if type(visit.instance) is not int or not 0 <= visit.instance < 100:
            raise self._refusal(number, "an instance from 0 to 99")
        if visit.classname not in self.classes:
            raise self._refusal(number, f"a class of {', '.join(self.classes)}")
        if not self._own_images(visit):
            raise self._refusal(number, "images <participant>_<instance>_s<slice>_p<phase>.png of its own, each once")
        return visit

    @staticmethod
    def _own_images(visit: Visit) -> bool:
        """Tell whether the names of the images are those of this visit, each once."""
        names = visit.images if isinstance(visit.images, list) else []
        found = [IMAGE.fullmatch(name) for name in names if isinstance(name, str)]
        own = visit.participant, str(visit.instance)
        all_own = all(match is not None and match.groups() == own for match in found)
        return all_own and 0 < len(names) == len(found) == len(set(names))

    def _json(self, line: str, number: int) -> dict:
        """Return the object in a line."""
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._refusal(number, "an object in JSON")
        return found

    def _refusal(self, number: int, expected: str) -> UserError:
        return UserError(
            f"Expected {expected} in line {number} of {self.path}, but found something else: nothing was moved; delete "
            "the line, whose images are then made again from their zip."
        )

    def _write(self, visits: Iterable[Visit]) -> None:
        """Write the file anew with some visits."""
        self.visits = {visit.key: visit for visit in visits}
        with atomic_write(self.path, private=True) as file:
            file.writelines(json.dumps(line) + "\n" for line in (self.made_with, *map(asdict, self.visits.values())))


def _is_file(path: Path) -> bool:
    """Tell whether there is a file, and not a link to one."""
    return path.is_file() and not path.is_symlink()
