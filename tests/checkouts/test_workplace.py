"""A copy of a checkout has its code and settings, and no way leads from it back into the checkout."""

import gc
import shutil
from pathlib import Path

import pytest

from checkouts.workplace import copy_code, data_and_results, links
from dassl.errors import UserError


class Owner:
    """Somebody for whom a copy is made."""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder in the layout of a checkout, with more in it than code."""
    names = ("train.py", "trainers/CoOp/coop.py", "configs/vit.yaml", "sentences/gpt.json", "trainers/cache/x.json")
    for name in (*names, "clip/checkpoints/weights.pth", "data/BTMRI/split.json", "Output/seed1/log.txt"):
        _write(tmp_path / "checkout" / name)
    for name in ("assets/figure.png", "cache/loader.py", ".git/HEAD", "trainers/__pycache__/x.pyc", "env/pyvenv.cfg"):
        _write(tmp_path / "checkout" / name)
    return tmp_path / "checkout"


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


CODE = {"train.py", "trainers/CoOp/coop.py", "configs/vit.yaml", "sentences/gpt.json", "trainers/cache/x.json"}
CODE |= {"clip/checkpoints/weights.pth", "cache/loader.py"}


def test_a_copy_has_code_and_settings_alone(folder):
    owner = Owner()
    copy = copy_code(folder, owner)
    assert files(copy) == CODE and copy.name == folder.name
    assert not any(path.is_symlink() for path in copy.rglob("*"))
    assert data_and_results(folder) == ["Output", "data"]  # cache/ has a module in it


def test_a_copy_goes_with_its_owner(folder):
    owner = Owner()
    room = copy_code(folder, owner).parent
    assert room.is_dir()
    del owner
    gc.collect()
    assert not room.exists()


def test_files_are_copies_whatever_their_size(folder):
    weights = folder / "clip/checkpoints/weights.pth"
    weights.write_text("x" * 21)
    owner = Owner()
    copy = copy_code(folder, owner)
    (copy / "clip/checkpoints/weights.pth").write_text("y")  # as code does that trains it further
    assert weights.read_text() == "x" * 21 and not any(path.is_symlink() for path in copy.rglob("*"))


def test_what_is_linked_in_a_checkout_is_copied_and_circles_end(folder, tmp_path):
    _write(tmp_path / "elsewhere" / "shared.py")
    (folder / "shared").symlink_to(tmp_path / "elsewhere")
    (folder / "trainers" / "up").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    owner = Owner()
    copy = copy_code(folder, owner)
    assert files(copy) == CODE | {"shared/shared.py"}
    assert not any(path.is_symlink() for path in copy.rglob("*"))


def test_the_copy_of_a_folder_that_may_not_be_written_can_be(folder):
    places = [folder, *folder.rglob("*")]
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        owner = Owner()
        copy = copy_code(folder, owner)
        assert all(path.stat().st_mode & 0o200 for path in [copy, *copy.rglob("*")])
    finally:
        for path in places:
            path.chmod(0o755)


def test_a_full_disk_is_told_in_a_sentence(folder, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"Expected to copy the code of .*checkout to .*, but .*No space left on"):
        copy_code(folder, Owner())


def test_links_stand_in_the_working_directory_for_a_while(tmp_path, monkeypatch):
    for name in ("file", "work/a/b/replaced", "work/a/kept"):
        _write(tmp_path / name)
    monkeypatch.chdir(tmp_path / "work")
    with links({"a/b/replaced": tmp_path / "file", "c/added": tmp_path / "file"}):
        assert [Path(name).read_text() for name in ("a/b/replaced", "a/kept", "c/added")] == ["file", "kept", "file"]
    assert files(Path()) == {"a/kept"} and (tmp_path / "file").is_file()
