"""Which visits are finished, so that a run that was killed, or more zips that come later, cost no work twice."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dassl.errors import UserError
from dassl.utils import atomic_write, mkdir_if_missing, writing


@dataclass(frozen=True)
class Visit:
    """A visit whose images are all on disk, in the folder of its class."""

    participant: str  # pseudonym
    instance: int
    classname: str
    images: list[str]  # file names

    @property
    def key(self) -> tuple[str, int]:
        return self.participant, self.instance

    def paths(self) -> list[str]:
        """Of the images, as in a split file."""
        return [f"{self.classname.replace(' ', '_')}/{name}" for name in self.images]


class Journal:
    """The finished visits of a folder: a file of one line of JSON each, after one that says how they were made."""

    def __init__(self, folder: Path, made_with: dict[str, str]):
        """Read the journal, or begin one.

        Args:
            folder: of the data set; the images lie in a folder of the same name in it.
            made_with: what must be the same for all images, such as "salt", and its fingerprint.

        Raises:
            UserError: the folder holds a split that no run of this command made.
            UserError: the images in the folder were made with another salt or other choices.
        """
        self.path = folder / "prepared.jsonl"
        self.images = folder / folder.name
        self.made_with = made_with
        self.visits: dict[tuple[str, int], Visit] = {}
        split = folder / f"split_{folder.name}.json"
        if not self.path.is_file():
            if split.exists():
                raise UserError(f"Expected no split at {split}, but found one made by hand: choose another --out.")
            return
        first, *lines = self.path.read_text(encoding="utf-8").splitlines()
        for line in lines:
            try:
                visit = Visit(**json.loads(line))
            except ValueError:  # a run was killed while writing it
                continue
            self.visits[visit.key] = visit
        for what, value in json.loads(first).items() if self.visits else ():
            if value != made_with[what]:
                raise UserError(
                    f"Expected the {what} that the images in {folder} were made with, but this run has another: "
                    "restore it, or choose another --out."
                )

    def add(self, visit: Visit) -> None:
        """Note a finished visit."""
        self.visits[visit.key] = visit
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(visit)) + "\n")

    def forget(self, participants: set[str]) -> None:
        """Delete all images of some participants, also those that a killed run left behind."""
        for path in self.images.glob("*/*") if participants else ():
            if path.name.lstrip(".").split("_")[0] in participants:
                path.unlink()
        self._write(visit for visit in self.visits.values() if visit.participant not in participants)

    def tidy(self, classes: dict[str, str]) -> None:
        """Move images of participants who are in another class now, and forget visits whose images are not all there.

        Args:
            classes: by pseudonym. Images of participants without a class stay where they are.
        """
        kept = []
        for old in self.visits.values():
            new = replace(old, classname=classes.get(old.participant, old.classname))
            pairs = [(self.images / a, self.images / b) for a, b in zip(old.paths(), new.paths(), strict=True)]
            for before, after in pairs:
                if before != after and before.exists():
                    mkdir_if_missing(after.parent)
                    before.replace(after)
            if all(after.is_file() for _, after in pairs):
                kept.append(new)
        self._write(kept)

    def _write(self, visits: Iterable[Visit]) -> None:
        self.visits = {visit.key: visit for visit in visits}
        with atomic_write(self.path) as file:
            file.writelines(json.dumps(line) + "\n" for line in (self.made_with, *map(asdict, self.visits.values())))
