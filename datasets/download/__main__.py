"""Bring data sets to disk, checked and ready for a run.

    python -m datasets.download btmri kvasir --root data
    python -m datasets.download pathmnist bloodmnist --medmnist --size 224

What was interrupted goes on where it stopped, and what is there already is only checked. Each archive comes from the
Hugging Face hub or else from Google Drive, where BiomedCoOp's authors keep it, unless <root>/<NAME>.zip is there. With
--medmnist the name is one of MedMNIST's; DermaMNIST and OCTMNIST become the data sets of those names, and all others
folders of images: DATA=data/pathmnist bash scripts/vmfcoop/few_shot.sh folder 16.
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
from dassl.names import check_name
from dassl.writing import make_folder, write_json
from datasets.base import BiomedDataset
from datasets.catalogue import by_key

from . import from_medmnist
from .archive import unpack
from .check import check_files
from .disk import full_disk_told
from .known import check_known
from .sources import bring

RECORD = "download.json"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("datasets", nargs="+", metavar="DATASET", help="such as btmri")
    p.add_argument("--root", type=Path, default=Path("data"), help="folder of all data sets (default: data)")
    p.add_argument("--medmnist", action="store_true", help="take them from MedMNIST, by the package medmnist")
    p.add_argument(
        "--size",
        type=int,
        choices=from_medmnist.SIZES,
        default=from_medmnist.SIZE,
        help="side of MedMNIST's pictures in pixels (default: 224)",
    )
    return p


@contextmanager
def staging(root: Path, name: str) -> Iterator[Path]:
    """An empty folder beside the data set's, gone afterwards."""
    folder = root / f".{name}.unpacking"
    if folder.is_symlink():
        folder.unlink()
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
    file, source = from_medmnist.bring_npz(name.lower(), from_medmnist.SIZE, root) if medmnist else bring(cls, root)
    sums = check_known(file, "" if medmnist else cls.archive_sha256)
    with staging(root, name) as stage:
        new = stage / name
        if medmnist:
            new.mkdir()
            from_medmnist.write(cls, file, new)
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
        check_files(cls, new, f"delete {file} and run again, or take the images from their source ({cls.source})")
        write_json(record(source, file, sums), new / RECORD)
        make_folder(home)
        for part in (split, RECORD, name):  # the images last: where they are, all is
            (new / part).replace(home / part)
    print(f"{name} is ready in {home}; {file} is no longer needed.")


def record(source: str, file: Path, sums: dict[str, int | str]) -> dict[str, int | str]:
    """What is written beside the images about where they are from."""
    return {"source": source, "file": file.name, **sums, "date": date.today().isoformat()}


def get(cls: type[BiomedDataset], root: Path, medmnist: bool) -> None:
    """Have a data set in `root`.

    Raises:
        UserError: it cannot be had, or is not complete.
    """
    print(f"{cls.dataset_dir}: {cls.source}. Licence of the images: {cls.licence}.")
    home = root / cls.dataset_dir
    images = home / cls.dataset_dir
    if images.is_dir():
        check_files(cls, home, f"complete it, or move {home} away and run again")
        return
    if not cls.archive:
        raise UserError(f"Expected a data set that may be passed on, but {cls.dataset_dir} may not: {cls.source}.")
    make_folder(root)
    with FileLock(root / f".{cls.dataset_dir}.lock", timeout=0), full_disk_told(root):
        if not images.is_dir():  # another process may just have brought them
            install(cls, root, medmnist)


def get_folder(name: str, size: int, root: Path) -> None:
    """Have one of MedMNIST's data sets as a folder of images, `<root>/<name>`.

    Raises:
        UserError: it cannot be had, or is not complete.
    """
    info = from_medmnist.find(name, size)
    print(f"{name}: {from_medmnist.SOURCE}. Licence of the images: {info['license']}.")
    home = root / (name if size == from_medmnist.SIZE else f"{name}_{size}")
    if home.is_dir():
        from_medmnist.check_folder(name, size, home)
        return
    make_folder(root)
    with FileLock(root / f".{home.name}.lock", timeout=0), full_disk_told(root):
        if home.is_dir():
            return
        file, source = from_medmnist.bring_npz(name, size, root)
        sums = check_known(file, "")
        with staging(root, home.name) as stage:
            new = stage / home.name
            new.mkdir()
            from_medmnist.write_folder(name, size, file, new)
            from_medmnist.check_folder(name, size, new)
            write_json(record(source, file, sums), new / RECORD)
            new.replace(home)
    print(
        f"{name} is ready: DATA={home} bash scripts/vmfcoop/few_shot.sh folder 16 (methods that read an LLM's "
        f"sentences want {home / 'prompts.json'}: python -m datasets.prompts.generate --folder {home}); {file} is no "
        "longer needed."
    )


def bring_one(key: str, args: argparse.Namespace) -> None:
    """Have one data set, from wherever the flags say.

    Raises:
        UserError: it cannot be had, or is not complete.
    """
    root = args.root.expanduser()
    if not args.medmnist:
        get(by_key()[key], root, medmnist=False)
        return
    from_medmnist.find(check_name(key, "data set", "the command line"), args.size)
    if key not in by_key():
        get_folder(key, args.size, root)
    elif args.size == from_medmnist.SIZE:
        get(by_key()[key], root, medmnist=True)
    else:
        raise UserError(
            f"Expected --size {from_medmnist.SIZE} for {key}, whose split is BiomedCoOp's, but got {args.size}."
        )


@command
def main(argv: list[str] | None = None) -> int:
    """Gets one after the other; returns 1 where one of them could not be had."""
    cli = parser()
    args, failures = cli.parse_args(argv), 0
    if not args.medmnist and (unknown := [key for key in args.datasets if key not in by_key()]):
        cli.error(
            f"expected DATASET to be of {', '.join(sorted(by_key()))}, or one of MedMNIST's with --medmnist, but got "
            f"{', '.join(unknown)}"
        )
    for key in args.datasets:
        try:
            bring_one(key, args)
        except Timeout:
            print(f"error: another process is bringing {key} to {args.root}; wait for it, or end it.", file=sys.stderr)
            failures += 1
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            failures += 1
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
