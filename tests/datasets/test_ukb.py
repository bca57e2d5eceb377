"""UK Biobank: tables of participants and zips, made here around the pixels that pydicom ships, become a data set."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from datasets.cmri import CMRI
from datasets.lmri import LMRI
from datasets.ukb.__main__ import main
from datasets.ukb.recipe import FOLDER
from tests.datasets.layout import load
from tests.datasets.participants import WIDE, recipe_file, table
from tests.datasets.scans import (
    CODES,
    OTHER_SALT,
    SALT,
    Biobank,
    alias,
    compressed,
    grey,
    image,
    make_bulk,
    without_decoder,
    write_salt,
    zipped,
)

dicom = pytest.importorskip("datasets.ukb.dicom")
prepare = pytest.importorskip("datasets.ukb.prepare")


@pytest.fixture(scope="module")
def bulk(tmp_path_factory) -> Path:
    return make_bulk(tmp_path_factory.mktemp("bulk"))


@pytest.fixture
def biobank(tmp_path, bulk, capsys) -> Biobank:
    return Biobank(tmp_path, bulk, capsys)


@pytest.fixture
def no_decoder(monkeypatch) -> str:
    return without_decoder(monkeypatch)


def test_a_data_set_is_made_and_read(biobank):
    told = biobank.run()
    assert "cardiomyopathy 4 4 2 1 1\n" in told + "\n" and "left out" not in told
    wanted = {f"{name.replace(' ', '_')}/{alias(eid)}_2_s01_p00.png" for eid, name in biobank.people.items()}
    assert set(biobank.images()) == wanted
    data = load(biobank.root / "out", CMRI)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [10, 5, 5]
    assert data.classnames == list(CODES)
    for part in (data.train_x, data.val, data.test):
        assert len({item.label for item in part}) == 5
        for item in part:
            assert item.classname == Path(item.impath).parent.name.replace("_", " ") == list(CODES)[item.label]
    for i, (eid, name) in enumerate(biobank.people.items()):
        with Image.open(biobank.folder / "CMRI" / name.replace(" ", "_") / f"{alias(eid)}_2_s01_p00.png") as png:
            assert png.mode == "L" and png.format == "PNG" and not png.info
            np.testing.assert_array_equal(np.asarray(png), grey(10 + i))
    # The order by pseudonym decides, within each class.
    for name in CODES:
        ordered = sorted(alias(eid) for eid, held in biobank.people.items() if held == name)
        told = [
            [p[0].split("/")[1][:16] for p in biobank.split[part] if p[2] == name] for part in ("train", "val", "test")
        ]
        assert told == [ordered[:2], ordered[2:3], ordered[3:]]


def test_nothing_of_a_participant_is_left_in_names_or_files(biobank):
    biobank.add("7000001", visit="3_0", PixelData=b"\1")
    biobank.run()
    files = [path for path in (biobank.root / "out").rglob("*") if path.is_file()]
    assert len(files) == 20 + 3  # images, split, journal, lock
    for path in files:
        content = path.read_bytes()
        for secret in (*biobank.people, "Naam", "Geheim", "19500102", "2021-01-01", "2016", SALT.decode()):
            assert secret.encode() not in content and secret not in str(path.relative_to(biobank.root))


def test_visits_of_one_participant_are_in_one_part(biobank):
    for i, eid in enumerate(biobank.people):
        biobank.add(eid, visit="3_0", folder="more/deep", roll=100 + i)
    assert "normal heart 8 4 2 1 1\n" in biobank.run()
    where = {part: {path.split("/")[1][:16] for path, _, _ in items} for part, items in biobank.split.items()}
    assert Counter(path.split("_")[-3] for items in biobank.split.values() for path, _, _ in items) == {
        "2": 20,
        "3": 20,
    }
    assert [len(where[part]) for part in ("train", "val", "test")] == [10, 5, 5]
    assert not (where["train"] & where["val"] or where["train"] & where["test"] or where["val"] & where["test"])


def test_what_is_left_out_is_counted(biobank):
    rows, bulk = biobank.rows, biobank.root / "bulk"
    for eid in ("7000050", "7000051", "7000052", "7000053", "7000054", "7000055", "7000056"):
        biobank.add(eid)
    rows["7000050"] = ["7000050", "", "I48", "", "", "2020-07-01", "", "", "2008-01-01", "2016-01-01"]
    rows["7000051"] = ["7000051", "", "I340", "", "", "2021-01-01"]
    rows["7000052"] = ["7000052", "", "Chapter IX", "M545", "", "2021-01-01", "2021-01-01"]
    rows["7000053"] = ["7000053", "", "I48", "", "", "2021-01-01"]  # withdraws
    rows["7000054"] = ["7000054", "", "", "", "", "", "", "", "", "2021-01-01"]  # healthy and active
    rows["7000055"] = ["7000055", "", "I48", "", "", "2021-01-01"]  # 7000056 is in no row
    (bulk / "7000055_20209_2_0.zip").write_bytes(b"PK, but no zip")
    zipped(bulk / "7000002_20209_3_0.zip", {"manifest.csv": b"no images\n"})
    zipped(bulk / "7000002_20208_2_0.zip", {})
    zipped(bulk / "notes.zip", {})
    biobank.add("7000003", visit="2_1", roll=99)
    biobank.add("7000003", folder="again", roll=99)
    (biobank.root / "gone.txt").write_text("7000053\n7000099\n")
    told = biobank.run("--withdrawn", str(biobank.root / "gone.txt"))
    assert "normal heart 5 5 2 2 1\n" in told and "atrial fibrillation 4 4 2 1 1\n" in told
    for line in (
        "1 participants not active after 2020-07-01",
        "1 participants neither a class's codes nor normal",
        "1 participants no class's codes, but a diagnosis that is no ICD-10 code",
        "1 participants not in the table of participants",
        "1 participants withdrew",
        "2 zips a second zip of the same visit",
        "1 zips a zip, or DICOM files in it, that cannot be read",
        "1 zips a zip without the series",
        "1 zips a zip of another field than 20209",
        "1 zips a zip of another name than <eid>_<field>_<instance>_<array>.zip",
    ):
        assert f"\n {line}" in told, line
    assert len(told.strip().split("---\n")[-1].splitlines()) == 10
    assert len(biobank.images()) == 21
    (first,) = biobank.folder.glob(f"CMRI/*/{alias('7000003')}_*")
    np.testing.assert_array_equal(np.asarray(Image.open(first)), grey(10 + 3))  # array 0


def test_participants_of_several_rows_and_a_second_set(biobank):
    """A row without news takes nothing away; the liver's recipe reads its own field and series."""
    eid = next(eid for eid, name in biobank.people.items() if name == "heart failure")
    biobank.rows["again"] = [eid, "", "I489", "", "", "2021-01-01"]
    assert "heart failure 4 4" in biobank.run()
    codes = dict(zip(LMRI.classes, ["M545", "K760", "K746", "B181", "C220"], strict=True))
    biobank.rows = {}
    for i, name in enumerate(list(codes) * 2):
        eid = f"70000{i:02}"
        biobank.rows[eid] = [eid, "", codes[name], "", "", "2021-01-01"]
        files = {}
        for echo in range(3):
            own = {
                "SeriesDescription": "LMS IDEAL OPTIMISED LOW FLIP 6DYN",
                "EchoTime": 9 - echo,
                "InstanceNumber": echo,
            }
            files[str(echo)] = image(roll=3 * i + echo, **own)
        zipped(biobank.root / "bulk" / f"{eid}_20254_2_0.zip", files)
    table(biobank.root / "liver.csv", WIDE, *biobank.rows.values())
    line = f"prepare lmri --bulk {biobank.root}/bulk --phenotypes {biobank.root}/liver.csv --out {biobank.root}/out"
    assert main([*line.split(), "--salt", str(biobank.root / "salt")]) == 0
    data = load(biobank.root / "out", LMRI)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [5, 0, 5]
    path = biobank.root / "out" / "LMRI" / "LMRI" / "hepatitis" / f"{alias('7000003', name='LMRI')}_2_s00_p00.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), grey(3 * 3 + 2))
    assert len(load(biobank.root / "out", CMRI).train_x) == 10


def test_a_finished_visit_is_not_read_again(biobank, monkeypatch):
    told = biobank.run()
    split = biobank.split
    monkeypatch.setattr(prepare, "read_images", None)
    assert biobank.run() == told and biobank.split == split
    for path in (biobank.root / "bulk").iterdir():  # whoever brings zips in portions can delete them
        path.unlink()
    assert biobank.run() == told and biobank.split == split


def test_a_run_that_is_stopped_can_be_used_and_goes_on(biobank, monkeypatch):
    read_images, seen = dicom.read_images, []

    def until(count):
        def reader(path, recipe):
            if len(seen) >= count:
                raise KeyboardInterrupt
            seen.append(path.name)
            return read_images(path, recipe)

        return reader

    monkeypatch.setattr(prepare, "read_images", until(7))
    assert "goes on from there" in biobank.run(status=130)
    assert sum(map(len, biobank.split.values())) == len(biobank.images()) == 7
    with (biobank.folder / "prepared.jsonl").open("a") as file:
        file.write('{"participant": "beef')  # as if killed while writing
    lost = biobank.folder / "CMRI" / biobank.split["train"][0][0]
    lost.unlink()
    monkeypatch.setattr(prepare, "read_images", until(99))
    biobank.run()
    assert len(seen) == 7 + 13 + 1 and len(set(seen)) == 20 and lost.is_file()
    whole = biobank.split
    assert [len(part) for part in whole.values()] == [10, 5, 5]
    for path in biobank.folder.glob("*.json*"):
        path.unlink()
    biobank.run()
    assert biobank.split == whole


def test_who_withdraws_is_deleted_and_who_is_ill_moves(biobank, monkeypatch):
    biobank.run()
    monkeypatch.setattr(prepare, "read_images", None)
    (gone, first), (ill, second) = list(biobank.people.items())[:2]
    assert (first, second) == ("normal heart", "atrial fibrillation")
    (biobank.folder / "CMRI" / "normal_heart" / f".{alias(gone)}_2_s01_p00.png.77.tmp").write_bytes(b"of a killed run")
    biobank.rows[ill][2] = "I420"
    inactive = next(eid for eid, name in biobank.people.items() if name == "heart failure")
    biobank.rows[inactive][5] = "2019-01-01"
    (biobank.root / "gone.txt").write_text(gone)
    told = biobank.run("--withdrawn", str(biobank.root / "gone.txt"))
    assert "normal heart 3 3 2 0 1\n" in told and "atrial fibrillation 3 3 2 0 1\n" in told
    assert "heart failure 3 3" in told and "cardiomyopathy 5 5" in told
    held = {path.split("/")[1][:16]: path.split("/")[0] for path in biobank.images()}
    assert len(held) == len(biobank.images()) == 19
    assert alias(gone) not in " ".join(biobank.images()) and held[alias(ill)] == "cardiomyopathy"
    assert held[alias(inactive)] == "heart_failure"  # is kept, but in no part of the split
    listed = {path.split("/")[1][:16] for items in biobank.split.values() for path, _, _ in items}
    assert listed == held.keys() - {alias(inactive)}
    assert alias(gone) not in (biobank.folder / "prepared.jsonl").read_text()
    biobank.rows[inactive][5] = "2021-01-01"
    assert "heart failure 4 4" in biobank.run("--withdrawn", str(biobank.root / "gone.txt"))
    assert len(load(biobank.root / "out", CMRI).train_x + load(biobank.root / "out", CMRI).test) == 10 + 5


def test_images_of_before_the_diagnosis(biobank):
    recipe_file(biobank.root / "recipe.yaml", ("diagnosed: ever", "diagnosed: by visit"))
    header = {"cardiomyopathy": "2015-01-01", "heart failure": "2019-01-01"}
    for i, (eid, name) in enumerate(biobank.people.items()):
        biobank.add(eid, visit="3_0", roll=50 + i)
        day = header.get(name, "2021-01-01")
        biobank.rows[eid] = [eid, "", CODES[name], "", "", day, "", "", "2020-12-31", "2016-01-01"]
    biobank.header = [*WIDE[:8], "53-3.0", "53-2.0"]
    told = biobank.run()
    assert "normal heart 8 4" in told and "cardiomyopathy 8 4" in told and "heart failure 4 4" in told
    assert "atrial fibrillation 0 0" in told and "ischemic heart disease 0 0" in told
    assert "20 zips a visit before the diagnosis, or without a date" in told
    assert all("_3_" in path for items in biobank.split.values() for path, _, name in items if name == "heart failure")


def test_a_folder_of_other_images_is_left_alone(biobank):
    biobank.run()
    split, images = biobank.split, biobank.images()
    write_salt(biobank.root / "salt", OTHER_SALT)
    assert f"Expected the salt that the images in {biobank.folder} were made with" in biobank.run(status=1)
    write_salt(biobank.root / "salt")
    recipe_file(biobank.root / "recipe.yaml", ("at: [0.5]", "at: [0.4, 0.6]"))
    assert f"Expected the choice of images that the images in {biobank.folder}" in biobank.run(status=1)
    recipe_file(biobank.root / "recipe.yaml")
    (biobank.folder / "prepared.jsonl").unlink()
    assert f"Expected no split at {biobank.folder / 'split_CMRI.json'}" in biobank.run(status=1)
    assert biobank.split == split and biobank.images() == images


def test_errors_are_one_sentence(biobank, monkeypatch):
    for more, said in (
        (["--bulk", str(biobank.root / "nowhere")], f"folder of zips at {biobank.root / 'nowhere'}"),
        (["--phenotypes", str(biobank.root / "no.csv")], f"table of participants at {biobank.root / 'no.csv'}"),
        (["--withdrawn", str(biobank.root / "no.txt")], f"withdrawn participants at {biobank.root / 'no.txt'}"),
        (["--recipe", str(biobank.root / "no.yaml")], f"a recipe at {biobank.root / 'no.yaml'}"),
        (["--bulk", str(FOLDER)], f"zips named <eid>_20209_<instance>_<array>.zip below {FOLDER}, but found none"),
    ):
        text = biobank.run(*more, status=1)
        assert text.startswith("error: Expected ") and text.count("\n") == 1 and said in text
    with FileLock(biobank.folder / ".lock"):
        assert "another process is working" in biobank.run(status=1)
    recipe_file(biobank.root / "recipe.yaml", ("at: [0.5]", "at: [0.0]"))  # no image is there that forbids it
    assert "normal heart 4 4" in biobank.run()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    monkeypatch.delitem(sys.modules, "datasets.ukb.prepare")
    monkeypatch.delitem(sys.modules, "datasets.ukb.dicom")
    assert biobank.run(status=1) == (
        "error: Expected the package pydicom 3.0 or later, which reads DICOM files, but it is not installed: "
        'pip install -e ".[dicom]".\n'
    )


def test_pixels_that_cannot_be_decoded_are_told_once(biobank, no_decoder):
    for eid in list(biobank.people)[:3]:
        zipped(biobank.root / "bulk" / f"{eid}_20209_2_0.zip", compressed("MR_small_jpeg_ls_lossless.dcm"))
    told = biobank.run()
    assert told.endswith(f"\n 3 zips {no_decoder}\n") and told.count("pylibjpeg") == 1
    assert len(biobank.images()) == 17


def test_processes_make_the_same_images(biobank):
    for eid in list(biobank.people)[6:]:
        (biobank.root / "bulk" / f"{eid}_20209_2_0.zip").unlink()
    biobank.run("--workers", "2")
    several = {path: (biobank.folder / "CMRI" / path).read_bytes() for path in biobank.images()}
    split = biobank.split
    for path in (*biobank.folder.glob("CMRI/*/*"), *biobank.folder.glob("*.json*")):
        path.unlink()
    biobank.run()
    assert len(several) == 6 and split == biobank.split
    assert several == {path: (biobank.folder / "CMRI" / path).read_bytes() for path in biobank.images()}
