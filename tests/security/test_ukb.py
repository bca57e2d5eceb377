"""UK Biobank: a folder that someone else can write, and files that someone else could read."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from datasets.ukb.journal import Journal, Visit
from tests.datasets.scans import OTHER_SALT, Biobank, alias, make_bulk, write_salt

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
NAME = "0123456789abcdef"
CLASSES = ("normal heart", "heart failure")
GOOD = {
    "participant": NAME,
    "instance": 2,
    "classname": "normal heart",
    "images": [f"{NAME}_2_s05_p00.png", f"{NAME}_2_s06_p00.png"],
}
MADE_WITH = {"salt": "a", "choice of images": "b"}


@pytest.fixture(scope="module")
def bulk(tmp_path_factory) -> Path:
    return make_bulk(tmp_path_factory.mktemp("bulk"))


@pytest.fixture
def biobank(tmp_path, bulk, capsys) -> Biobank:
    return Biobank(tmp_path, bulk, capsys)


def write_journal(folder: Path, *lines, head=MADE_WITH) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "prepared.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in (head, *lines)))
    return path


def test_a_journal_as_it_is_written_is_read(tmp_path):
    write_journal(tmp_path / "CMRI", GOOD)
    (visit,) = Journal(tmp_path / "CMRI", MADE_WITH, CLASSES).visits.values()
    assert visit == Visit(NAME, 2, "normal heart", GOOD["images"])


HOSTILE = [
    {"classname": "../../../home/alice", "images": ["id_rsa"]},
    {"classname": "../../../home/alice"},
    {"classname": "/etc"},
    {"classname": "normal_heart"},
    {"classname": ["normal heart"]},
    {"classname": None},
    {"images": ["id_rsa"]},
    {"images": ["../../../../home/alice/id_rsa"]},
    {"images": [f"../{NAME}_2_s05_p00.png"]},
    {"images": [f"{NAME}_2_s05_p00.png/../../x"]},
    {"images": [f"{NAME}_2_s05_p00.png\n"]},
    {"images": [f"{NAME}_2_s٠٥_p00.png"]},
    {"images": [f"{NAME}_3_s05_p00.png"]},
    {"images": [f"{NAME[::-1]}_2_s05_p00.png"]},
    {"images": [f"{NAME}_2_s05_p00.png"] * 2},
    {"images": [["x"]]},
    {"images": [None]},
    {"images": []},
    {"images": f"{NAME}_2_s05_p00.png"},
    {"images": {f"{NAME}_2_s05_p00.png": 1}},
    {"participant": NAME[:-1]},
    {"participant": NAME.upper()},
    {"participant": "../../../../x"},
    {"participant": 7},
    {"instance": "2"},
    {"instance": True},
    {"instance": -1},
    {"instance": 10**30},
    {"instance": 2.0},
    {"extra": 1},
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: json.dumps(change)[:60])
def test_a_line_that_was_not_written_here_is_refused_by_its_number(tmp_path, change):
    path = write_journal(tmp_path / "CMRI", GOOD, GOOD | change, GOOD)
    with pytest.raises(ValueError) as error:
        Journal(tmp_path / "CMRI", MADE_WITH, CLASSES)
    said = str(error.value)
    assert said.startswith("Expected ") and "\n" not in said
    assert f"in line 3 of {path}, but found something else" in said


@pytest.mark.parametrize("line", ["[]", "7", "null", "", "{", "[" * 100_000, '{"a": 1}', json.dumps([GOOD])])
def test_a_line_that_is_no_visit_is_refused(tmp_path, line):
    write_journal(tmp_path / "CMRI", line, GOOD)
    with pytest.raises(ValueError, match="in line 2 of "):
        Journal(tmp_path / "CMRI", MADE_WITH, CLASSES)


@pytest.mark.parametrize("head", ["[]", "{}", {"salt": "a"}, MADE_WITH | {"more": "c"}])
def test_a_first_line_that_is_another_is_refused(tmp_path, head):
    write_journal(tmp_path / "CMRI", GOOD, head=head)
    with pytest.raises(ValueError, match="in line 1 of "):
        Journal(tmp_path / "CMRI", MADE_WITH, CLASSES)


def test_a_journal_that_is_a_link_is_not_followed(tmp_path):
    path = write_journal(tmp_path / "elsewhere", GOOD)
    (tmp_path / "CMRI").mkdir()
    (tmp_path / "CMRI" / "prepared.jsonl").symlink_to(path)
    with pytest.raises(ValueError, match="is a symbolic link"):
        Journal(tmp_path / "CMRI", MADE_WITH, CLASSES)


@pytest.mark.parametrize("change", HOSTILE[:3], ids=lambda change: json.dumps(change)[:60])
def test_no_line_moves_a_file_into_the_data_set(biobank, change):
    """With the true pseudonym of a participant, as whoever edits the folder of a colleague knows it."""
    biobank.run()
    sentinel = biobank.root / "home" / "alice" / "id_rsa"
    sentinel.parent.mkdir(parents=True)
    sentinel.write_bytes(b"mine")
    images, journal = biobank.images(), biobank.folder / "prepared.jsonl"
    line = {"participant": alias("7000002"), "instance": 9, "classname": "normal heart", "images": ["id_rsa"]} | change
    journal.write_text(journal.read_text() + json.dumps(line) + "\n")
    assert f"in line 22 of {journal}, but found something else" in biobank.run(status=1)
    assert sentinel.read_bytes() == b"mine" and biobank.images() == images


def test_a_link_among_the_folders_of_images_moves_nothing(biobank):
    """Neither out of the folder that it leads to, where a file is called like an image, nor into it."""
    biobank.run()
    eid = next(eid for eid, name in biobank.people.items() if name == "normal heart")
    outside, images = biobank.root / "outside", biobank.folder / "CMRI"
    (images / "normal_heart").rename(outside)
    (images / "normal_heart").symlink_to(outside)
    biobank.rows[eid][2] = "I420"
    before = sorted(path.name for path in outside.iterdir())
    assert f"but {images / 'normal_heart'} is a link to elsewhere" in biobank.run(status=1)
    (biobank.root / "gone.txt").write_text(eid)
    assert "is a link to elsewhere" in biobank.run("--withdrawn", str(biobank.root / "gone.txt"), status=1)
    assert sorted(path.name for path in outside.iterdir()) == before


def test_a_link_in_place_of_an_image_is_replaced_and_what_it_leads_to_stays(biobank):
    biobank.run()
    sentinel = biobank.root / "sentinel"
    sentinel.write_bytes(b"mine")
    path = biobank.folder / "CMRI" / biobank.images()[0]
    picture = path.read_bytes()
    path.unlink()
    path.symlink_to(sentinel)
    biobank.run()
    assert sentinel.read_bytes() == b"mine" and path.read_bytes() == picture and not path.is_symlink()


@pytest.mark.parametrize("name", ["prepared.jsonl", "split_CMRI.json"])
def test_a_link_in_place_of_what_is_written_is_not_followed(biobank, name):
    biobank.run()
    sentinel = biobank.root / "sentinel"
    sentinel.write_bytes(b"mine")
    (biobank.folder / name).unlink()
    (biobank.folder / name).symlink_to(sentinel)
    told = biobank.run(status=1 if name == "prepared.jsonl" else 0)
    assert sentinel.read_bytes() == b"mine"
    assert "is a symbolic link" in told or not (biobank.folder / name).is_symlink()


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*"))}


@POSIX
def test_everything_is_the_owners_alone(biobank):
    umask = os.umask(0o022)
    try:
        told = biobank.run("--workers", "2")
        assert f"What lies in {biobank.folder} can be read by you alone." in told
        assert modes(biobank.root / "out") == {0o700, 0o600}
        for path in (biobank.folder, *biobank.folder.rglob("*")):  # as an earlier version left them
            path.chmod(0o755 if path.is_dir() else 0o644)
        biobank.run()
        assert modes(biobank.folder) == {0o700, 0o600}
        assert os.umask(0o022) == 0o022  # is the caller's again
    finally:
        os.umask(umask)


def test_no_two_data_sets_share_a_name_and_another_salt_is_told(biobank):
    biobank.run()
    head = json.loads((biobank.folder / "prepared.jsonl").read_text().splitlines()[0])
    assert head["salt"] == alias("salt") != alias("salt", name="LMRI")
    write_salt(biobank.root / "salt", OTHER_SALT)
    assert "Expected the salt that the images in" in biobank.run(status=1)
