"""A small biobank: zips of the pixels that pydicom ships, a table of participants, and the command for them."""

import hashlib
import hmac
import io
import json
import re
import shutil
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from datasets.ukb.__main__ import main
from tests.datasets.participants import WIDE, recipe_file, table

pydicom = pytest.importorskip("pydicom", minversion="2.4")
from pydicom.data import get_testdata_file  # noqa: E402, only with pydicom, which is optional

SALT = hashlib.sha256(b"the salt of tests").hexdigest().encode()
OTHER_SALT = hashlib.sha256(b"another salt of tests").hexdigest().encode()
PERSON = "Naam^Geheim"
CODES = {
    "normal heart": "M545",
    "atrial fibrillation": "I489",
    "ischemic heart disease": "I251",
    "heart failure": "I500",
    "cardiomyopathy": "I420",
}


def alias(eid: str, salt: bytes = SALT, name: str = "CMRI") -> str:
    """Return the pseudonym of a participant, computed in another way."""
    return hmac.new(salt, f"{name} {eid}".encode(), hashlib.sha256).hexdigest()[:16]


def write_salt(path: Path, salt: bytes = SALT) -> Path:
    path.write_bytes(salt)
    path.chmod(0o600)
    return path


@cache
def content(name: str) -> bytes:
    """Return a file that comes with pydicom."""
    return Path(get_testdata_file(name, download=False)).read_bytes()


def shipped(name: str) -> "pydicom.Dataset":
    return pydicom.dcmread(io.BytesIO(content(name)))


@cache
def pixels_of(name: str) -> np.ndarray:
    return shipped(name).pixel_array


def image(name: str = "MR_small.dcm", roll: int = 0, **tags) -> bytes:
    """Return a DICOM file with shipped pixels, moved down by `roll` rows so that images can be told apart."""
    ds = shipped(name)
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = PERSON, "7000001", "19500102"
    ds.SeriesDescription, ds.ImageType = "CINE_segmented_SAX_b1", ["ORIGINAL", "PRIMARY", "M", "ND"]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if roll:
        ds.PixelData = np.roll(pixels_of(name), roll, axis=0).tobytes()
    for tag, value in tags.items():
        setattr(ds, tag, value)
    file = io.BytesIO()
    ds.save_as(file)
    return file.getvalue()


def heart(slices: int = 3, phases: int = 2, roll: int = 0, **tags) -> dict[str, bytes]:
    """Return a short-axis cine, files not in order; pixels of slice s, phase p are moved by 10 s + p + roll rows."""
    files = {"manifest.cvs": f"file,name,date\n1.dcm,{PERSON},May 4, 2016\n".encode()}
    for s in range(slices):
        for p in reversed(range(phases)):
            own = {"SeriesDescription": f"CINE_segmented_SAX_b{s}", "SeriesNumber": s + 3, "InstanceNumber": 90 - p}
            own |= {"ImagePositionPatient": [5, 7, 10 * s - 60], "TriggerTime": 20.5 * p} | tags
            files[f"{phases - p}{s}.{roll}.dcm"] = image(roll=10 * s + p + roll, **own)
    return files


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            archive.writestr(name, file)
    return path


def grey(roll: int) -> np.ndarray:
    """Return shipped MR pixels, moved by so many rows, in 8 bits, computed in another way."""
    pixels = np.roll(pixels_of("MR_small.dcm"), roll, axis=0).astype(float)
    ordered = np.sort(pixels.ravel())
    places = np.array([0.5, 99.5]) / 100 * (ordered.size - 1)
    low, high = np.interp(places, np.arange(ordered.size), ordered)
    return np.rint(np.minimum(np.maximum(pixels - low, 0) / (high - low), 1) * 255)


def compressed(name: str) -> dict[str, bytes]:
    """Return three slices of two phases in a file's own transfer syntax."""
    return {
        f"{s}{p}": image(name, ImagePositionPatient=[0, 0, 9 * s], InstanceNumber=p) for s in range(3) for p in range(2)
    }


def without_decoder(monkeypatch: pytest.MonkeyPatch) -> str:
    """Take from pydicom the packages that decode pixels; return the reason that is given then for JPEG-LS."""
    monkeypatch.setattr(pydicom.pixels.decoders.base.Decoder, "is_available", False)
    return (
        "pixels compressed as JPEG-LS Lossless Image Compression (1.2.840.10008.1.2.4.80) that cannot be decoded: if "
        'they are not damaged, pip install "pylibjpeg[all]" and run again'
    )


def make_bulk(folder: Path) -> Path:
    """Make zips of twenty participants, 7000000 to 7000019."""
    for i in range(20):
        zipped(folder / f"70000{i:02}_20209_2_0.zip", heart(roll=i))
    return folder


class Biobank:
    """A folder of zips and a table for four participants of each heart class, and a command line for them."""

    def __init__(self, root: Path, bulk: Path, capsys):
        self.root, self.capsys = root, capsys
        self.folder = root / "out" / "CMRI"
        shutil.copytree(bulk, root / "bulk")
        self.people = {f"70000{i:02}": name for i, name in enumerate(list(CODES) * 4)}
        self.rows = {eid: [eid, "", CODES[name], "", "", "2021-01-01"] for eid, name in self.people.items()}
        self.header = WIDE
        recipe_file(root / "recipe.yaml")
        write_salt(root / "salt")

    def add(self, eid: str, visit: str = "2_0", folder: str = "", **tags) -> Path:
        return zipped(self.root / "bulk" / folder / f"{eid}_20209_{visit}.zip", heart(**tags))

    def run(self, *more: str, status: int = 0) -> str:
        """Run the command and return what it prints, which must not tell anything of a participant."""
        table(self.root / "table.csv", self.header, *self.rows.values())
        paths = {"bulk": "bulk", "phenotypes": "table.csv", "out": "out", "salt": "salt", "recipe": "recipe.yaml"}
        flags = [word for flag, path in paths.items() for word in (f"--{flag}", str(self.root / path))]
        assert main(["prepare", "cmri", *flags, *more]) == status
        printed = self.capsys.readouterr()
        assert not re.search(r"70000\d\d|Naam|Geheim|1950", printed.out + printed.err)
        return re.sub(" +", " ", printed.err if status else printed.out)

    @property
    def split(self) -> dict[str, list]:
        return json.loads((self.folder / "split_CMRI.json").read_text())

    def images(self) -> list[str]:
        return sorted(path.relative_to(self.folder / "CMRI").as_posix() for path in self.folder.glob("CMRI/*/*"))
