"""Bring data sets to disk, checked and ready for a run.

    python -m datasets.download btmri kvasir --root data
    python -m datasets.download dermamnist octmnist --medmnist

What was interrupted goes on where it stopped, and what is there already is only checked. Each archive comes from the
Hugging Face hub or else from Google Drive, where BiomedCoOp's authors keep it, unless <root>/<NAME>.zip is there.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from dassl.errors import UserError, command
from dassl.utils import write_json
from datasets.base import BiomedDataset
from datasets.catalogue import by_key

from . import from_medmnist
from .archive import unpack
from .check import check
from .disk import full_disk_told
from .fetch import digest
from .sources import bring

RECORD = "download.json"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("datasets", nargs="+", choices=sorted(by_key()), metavar="DATASET", help="such as btmri")
    p.add_argument("--root", type=Path, default=Path("data"), help="folder of all data sets (default: data)")
    p.add_argument("--medmnist", action="store_true", help="take dermamnist and octmnist from the package medmnist")
    return p


@contextmanager
def staging(root: Path, name: str) -> Iterator[Path]:
    """An empty folder beside the data set's, gone afterwards."""
    folder = root / f".{name}.unpacking"
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install(cls: type[BiomedDataset], root: Path, medmnist: bool) -> None:
    """Bring the images and move them into their folder when they are complete.

    A split file that is there already, from a checkout of BiomedCoOp for instance, is kept and holds.
    """
    name, home = cls.dataset_dir, root / cls.dataset_dir
    file, source = from_medmnist.bring_npz(cls, root) if medmnist else bring(cls, root)
    with staging(root, name) as stage:
        new = stage / name
        if medmnist:
            new.mkdir()
            from_medmnist.write(cls, root, new)
        else:
            unpack(file, stage)
            new = new if (new / name).is_dir() else stage  # some archives hold the folder itself, some what is in it
        if not (new / name).is_dir():
            raise UserError(
                f"Expected {name}/{name}/<class>/<image> in {file}, but it has "
                f"{', '.join(sorted(path.name for path in new.iterdir()))}: unpack it by hand as DATASETS.md shows."
            )
        split = f"split_{name}.json"
        if (home / split).is_file():
            shutil.copy(home / split, new / split)
        check(cls, new, f"delete {file} and run again, or take the images from their source ({cls.source})")
        record = {"source": source, "file": file.name, "bytes": file.stat().st_size, "sha256": digest(file)}
        write_json({**record, "date": date.today().isoformat()}, new / RECORD)
        home.mkdir(exist_ok=True)
        for part in (split, RECORD, name):  # the images last: where they are, all is
            (new / part).replace(home / part)
    print(f"{name} is ready in {home}; {file} is no longer needed.")


def get(cls: type[BiomedDataset], root: Path, medmnist: bool) -> None:
    """Have a data set in `root`.

    Raises:
        UserError: it cannot be had, or is not complete.
    """
    print(f"{cls.dataset_dir}: {cls.source}. Licence of the images: {cls.licence}.")
    home = root / cls.dataset_dir
    images = home / cls.dataset_dir
    if images.is_dir():
        check(cls, home, f"complete it, or move {home} away and run again")
        return
    if not cls.archive:
        raise UserError(f"Expected a data set that may be passed on, but {cls.dataset_dir} may not: {cls.source}.")
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{cls.dataset_dir}.lock", timeout=0), full_disk_told(root):
        if not images.is_dir():  # another process may just have brought them
            install(cls, root, medmnist)


@command
def main(argv: list[str] | None = None) -> int:
    """Gets one after the other; returns 1 where one of them could not be had."""
    args, failures = parser().parse_args(argv), 0
    for key in args.datasets:
        try:
            get(by_key()[key], args.root.expanduser(), args.medmnist)
        except Timeout:
            print(f"error: another process is bringing {key} to {args.root}; wait for it, or end it.", file=sys.stderr)
            failures += 1
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            failures += 1
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
