"""Make images and a split from zips and a table; go on where an earlier run stopped."""

import multiprocessing
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from filelock import FileLock
from PIL import Image

from dassl.errors import UserError
from dassl.progress import bar
from dassl.writing import atomic_write, make_folder, write_json
from datasets.ukb import LeftOut
from datasets.ukb.cohort import select_participants
from datasets.ukb.dicom import read_images
from datasets.ukb.journal import Journal, Visit
from datasets.ukb.pseudonym import Pseudonym, fingerprint
from datasets.ukb.recipe import Images, Recipe
from datasets.ukb.split import split_visits
from datasets.ukb.summary import summarise
from datasets.ukb.zips import find_zips


def prepare(
    recipe: Recipe,
    bulk: Path,
    phenotypes: Path,
    out: Path,
    pseudonym: Pseudonym,
    withdrawn: Iterable[str] = (),
    workers: int = 1,
) -> str:
    """Make `<out>/<NAME>/<NAME>/<class>/*.png` and `<out>/<NAME>/split_<NAME>.json`, or go on with them.

    Only their owner can read them.

    Args:
        recipe: images, participants and classes.
        bulk: folder of zips, see `find_zips`.
        phenotypes: table of participants, see `phenotypes.read`.
        out: root of the data sets.
        pseudonym: gives the pseudonym of an eid.
        withdrawn: eids of participants who withdrew: they are left out, and their images deleted.
        workers: processes that read zips.

    Returns:
        What was made and left out, as text.

    Raises:
        UserError: there is no folder, no table, or no zip of the field; or the table or the journal cannot be used.
        filelock.Timeout: another run works in the same folder.
    """
    folder = out / recipe.name
    make_folder(folder, private=True)
    gone = {pseudonym(eid) for eid in withdrawn}
    with FileLock(folder / ".lock", timeout=0):
        made_with = {"salt": fingerprint(pseudonym), "choice of images": recipe.images.fingerprint}
        journal = Journal(folder, made_with, recipe.classes)
        keep_private(folder)
        known = {participant for participant, _ in journal.visits}
        journal.forget(gone)
        zips, unused = find_zips(bulk, recipe.images.field, pseudonym)
        visits = sorted(zips.keys() | journal.visits.keys())
        if not visits:
            raise UserError(
                f"Expected zips named <eid>_{recipe.images.field}_<instance>_<array>.zip below {bulk}, but found none: "
                "download this field there, or correct the field in the recipe."
            )
        everyone = known | {participant for participant, _ in visits}
        members, absent = select_participants(phenotypes, everyone - gone, recipe.participants, pseudonym)
        absent["withdrew"] = len(everyone & gone)
        journal.tidy({name: member.classname for name, member in members.items()})
        taken = []
        for participant, instance in visits:
            if member := members.get(participant):
                if member.instances is None or instance in member.instances:
                    taken.append(Visit(participant, instance, member.classname, []))
                else:
                    unused["a visit before the diagnosis, or without a date"] += 1
        try:
            todo = [(zips[v.key], v) for v in taken if v.key not in journal.visits and v.key in zips]
            unused += _make(todo, recipe.images, journal, workers)
        finally:  # whatever stops the run, what is finished can be used
            made = split_visits((journal.visits[v.key] for v in taken if v.key in journal.visits), recipe.classes)
            write_json(made, folder / f"split_{recipe.name}.json", private=True)
    return summarise(made, recipe.classes, {"participants": absent, "zips": unused})


def keep_private(folder: Path) -> None:
    """Let only the owner read a folder and all in it, and print that; an earlier version left files readable."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if mode & 0o077 and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & 0o700)
    print(f"What lies in {folder} can be read by you alone.")


def _make(todo: list[tuple[Path, Visit]], recipe: Images, journal: Journal, workers: int) -> Counter:
    """Make the images of all visits; return how many zips are left out, by reason."""
    left: Counter = Counter()
    with _map(workers) as run:
        done = run(partial(_images, recipe=recipe, folder=journal.images), todo)
        for result in bar(done, total=len(todo), desc=f"Preparing {journal.images.name}", unit="zip"):
            if isinstance(result, Visit):
                journal.add(result)
            else:
                left[result] += 1
    return left


def _images(job: tuple[Path, Visit], recipe: Images, folder: Path) -> Visit | str:
    """Write the images of one zip; return the visit with their names, or the reason why there are none."""
    path, visit = job
    try:
        images = read_images(path, recipe)
    except LeftOut as reason:
        return str(reason)
    visit = replace(visit, images=[f"{visit.participant}_{visit.instance}_{name}.png" for name in images])
    for name, pixels in zip(visit.paths(), images.values(), strict=True):
        with atomic_write(folder / name, "wb", within=folder.parent, private=True) as file:
            Image.fromarray(pixels).save(file, "PNG")
    return visit


@contextmanager
def _map(workers: int) -> Iterator[Callable]:
    """Give a `map`, over several processes if there are to be several."""
    if workers <= 1:
        yield map
        return
    with multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn").Pool(workers) as pool:
        yield pool.imap_unordered
