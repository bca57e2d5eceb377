"""Bring a data set to its folder: download, unpack beside it, check, and move it there when it is complete."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from filelock import FileLock

from dassl.errors import UserError
from dassl.writing import make_folder, write_json
from datasets.base import BiomedDataset

from . import from_medmnist
from .archive import unpack
from .check import check_files
from .disk import full_disk_in_words
from .known import check_known
from .sources import bring_archive

RECORD = "download.json"


def bring_named(cls: type[BiomedDataset], root: Path, medmnist: bool) -> None:
    """Have a named data set in `<root>/<NAME>`; one that is there is only checked.

    Args:
        cls: the data set.
        root: folder of all data sets.
        medmnist: take it from MedMNIST instead of its archive.

    Raises:
        UserError: it cannot be brought, or is not complete.
        filelock.Timeout: another process is bringing it.
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
    with FileLock(root / f".{cls.dataset_dir}.lock", timeout=0), full_disk_in_words(root):
        if not images.is_dir():  # another process may just have brought them
            _install_named(cls, root, medmnist)


def _install_named(cls: type[BiomedDataset], root: Path, medmnist: bool) -> None:
    """Download the images and move them into their folder when they are complete.

    A split file that is there already, from a checkout of BiomedCoOp for instance, is kept and used.
    """
    name, home = cls.dataset_dir, root / cls.dataset_dir
    size = from_medmnist.SIZE
    file, source = from_medmnist.bring_npz(name.lower(), size, root) if medmnist else bring_archive(cls, root)
    sums = check_known(file, "" if medmnist else cls.archive_sha256)
    with _staging(root, name) as stage:
        new = stage / name
        if medmnist:
            new.mkdir()
            from_medmnist.write_named(cls, file, new)
        else:
            unpack(file, stage)
            new = new if (new / name).is_dir() else stage  # some archives hold the folder itself, some its content
        if not (new / name).is_dir():
            raise UserError(
                f"Expected {name}/{name}/<class>/<image> in {file}, but it has "
                f"{', '.join(sorted(path.name for path in new.iterdir()))}: unpack it by hand as DATASETS.md shows."
            )
        split = f"split_{name}.json"
        if (home / split).is_file():
            shutil.copy(home / split, new / split)
        check_files(cls, new, f"delete {file} and run again, or take the images from their source ({cls.source})")
        _write_record(new / RECORD, source, file, sums)
        make_folder(home)
        for part in (split, RECORD, name):  # the images last: if they are there, all is
            (new / part).replace(home / part)
    print(f"{name} is ready in {home}; {file} is no longer needed.")


def bring_folder(name: str, size: int, root: Path) -> None:
    """Have one of MedMNIST's data sets as a folder of images, `<root>/<name>`; one that is there is only checked.

    Raises:
        UserError: it cannot be brought, or is not complete.
        filelock.Timeout: another process is bringing it.
    """
    info = from_medmnist.find_info(name, size)
    print(f"{name}: {from_medmnist.SOURCE}. Licence of the images: {info['license']}.")
    home = root / (name if size == from_medmnist.SIZE else f"{name}_{size}")
    if home.is_dir():
        from_medmnist.check_folder(name, size, home)
        return
    make_folder(root)
    with FileLock(root / f".{home.name}.lock", timeout=0), full_disk_in_words(root):
        if home.is_dir():  # another process has just brought it
            return
        file, source = from_medmnist.bring_npz(name, size, root)
        sums = check_known(file, "")
        with _staging(root, home.name) as stage:
            new = stage / home.name
            new.mkdir()
            from_medmnist.write_folder(name, size, file, new)
            from_medmnist.check_folder(name, size, new)
            _write_record(new / RECORD, source, file, sums)
            new.replace(home)
    print(
        f"{name} is ready: DATA={home} bash scripts/vmfcoop/few_shot.sh folder 16 (methods that read an LLM's "
        f"sentences want {home / 'prompts.json'}: python -m datasets.prompts.generate --folder {home}); {file} is no "
        "longer needed."
    )


@contextmanager
def _staging(root: Path, name: str) -> Iterator[Path]:
    """Give an empty folder beside the data set's, which is deleted afterwards."""
    folder = root / f".{name}.unpacking"
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_record(path: Path, source: str, file: Path, sums: dict[str, int | str]) -> None:
    """Write beside the images where they are from."""
    write_json({"source": source, "file": file.name, **sums, "date": date.today().isoformat()}, path)
