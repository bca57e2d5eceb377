"""Images of others: no program is started, and none takes more memory than is told."""

import io
import os
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from clip.digests import Digests
from dassl.errors import UserError
from dassl.images import FILE_BYTES, PICTURE_BYTES, limits, read_image, tiff
from dassl.images.pillow import FORMATS
from tests.toolbox.pictures import chunk

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
MB = 1 << 20


def written(kind: str) -> bytes:
    """A picture in another of Pillow's formats, or what its decoder takes for one."""
    by_hand = {
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n",
        "PSD": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\2\0\0\0\2\0\x08\0\3" + bytes(12) + b"\0\0" + b"abcdefghijkl",
        "FITS": b"".join(
            line.ljust(80).encode()
            for line in ("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 2", "NAXIS2  = 2", "END")
        ).ljust(2880)
        + b"abcd",
        "WMF": b"\xd7\xcd\xc6\x9a\0\0" + bytes(34),
        "XPM": b'/* XPM */\nstatic char *a[] = {\n"2 2 2 1",\n"a c #000000",\n"b c #ffffff",\n"ab",\n"ba"};\n',
        "FLI": b"\x80\0\0\0\x11\xaf\1\0" + bytes(120),
    }
    if kind in by_hand:
        return by_hand[kind]
    file = io.BytesIO()
    PICTURE.convert("L" if kind in ("XBM",) else "RGB").save(file, kind)
    return file.getvalue()


OTHERS = [
    "EPS",
    "PSD",
    "FITS",
    "WMF",
    "XPM",
    "FLI",
    "GIF",
    "ICNS",
    "ICO",
    "TGA",
    "PCX",
    "SGI",
    "IM",
    "DDS",
    "PDF",
    "QOI",
]


@pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["tumour.png", "tumour.eps", "tumour"])
def test_other_formats_are_refused_and_start_nothing(tmp_path, kind, name, monkeypatch):
    sentinel = tmp_path / "started"
    for program in ("gs", "gswin64c", "djpeg", "cjpeg", "ppmtogif"):
        stand_in = tmp_path / "bin" / program
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(f"#!/bin/sh\necho $0 > {sentinel}\n")
        stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    path = tmp_path / name
    path.write_bytes(written(kind))
    with pytest.raises(UserError, match=rf"{path.name} is not \(none of PNG, JPEG, BMP, .*\): restore or convert it"):
        read_image(path)
    assert not sentinel.exists()


def test_the_stand_in_would_be_started(tmp_path, monkeypatch):
    """Pillow, left to itself, does start it: the test above can fail."""
    stand_in = tmp_path / "gs"
    stand_in.write_text(f"#!/bin/sh\necho $0 > {tmp_path / 'started'}\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "a.png").write_bytes(written("EPS"))
    code = f"from PIL import Image; Image.open({str(tmp_path / 'a.png')!r}).load()"
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (tmp_path / "started").exists()


def test_formats_are_few():
    assert set(FORMATS) == {"PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "JPEG2000"}


# --------------------------------------------------------------------------------------------------------------- bombs


def plain_png(width: int, height: int, depth: int, kind: int, rows: int) -> bytes:
    """A PNG that is black, of which so many rows are there; a small file of many pixels."""
    packer, row = zlib.compressobj(), bytes(1 + width * depth * {0: 1, 2: 3}[kind] // 8)
    packed = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, kind, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 14_000, 60_000, 2**31 - 1])
@pytest.mark.parametrize(("depth", "kind"), [(1, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_a_bomb_is_named_before_it_is_decoded(tmp_path, side, depth, kind):
    path = tmp_path / "bomb.png"
    path.write_bytes(plain_png(side, side, depth, kind, 0))
    with pytest.raises(UserError, match=r"bomb\.png is not \(.*pixels"):
        read_image(path)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kilobytes on Linux")
@pytest.mark.parametrize(("depth", "kind", "side"), [(8, 2, 4_000), (16, 0, 4_000), (16, 2, 2_800)])
def test_a_picture_takes_no_more_memory_than_is_told(tmp_path, depth, kind, side):
    path = tmp_path / "large.png"
    path.write_bytes(plain_png(side, side, depth, kind, side))
    code = (
        "import resource, dassl.images as d\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"d.read_image({str(path)!r}, d.Reading(allow_constant=True))\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)\n"
    )
    taken = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert int(taken.stdout) < 3 * 64 * MB + 40 * MB  # the picture takes 64 MB; what is done by parts takes 40


@pytest.mark.parametrize("more", [100, 250])
def test_a_jpeg_of_many_scans_is_named(tmp_path, more):
    """Each scan of an even picture takes a few bytes, and as long as the whole picture."""
    file, path = io.BytesIO(), tmp_path / "bomb.jpg"
    PICTURE.save(file, "JPEG", progressive=True, exif=b"Exif\0\0" + b"\xff\xda" * 300)
    code = file.getvalue()
    last = code[code.rindex(b"\xff\xda") : -2]
    path.write_bytes(code[:-2] + last * more + code[-2:])
    if more == 100:
        read_image(path)
    else:
        with pytest.raises(UserError, match=r"bomb\.jpg is not \(it has more than 200 scans\)"):
            read_image(path)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_a_tiff_of_pages_without_end_is_named(tmp_path, order, big, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    monkeypatch.setattr(tiff, "PAGES", 50)
    path = tmp_path / "pages.tif"
    for pages in (40, 51):
        with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as file:
            for _ in range(pages):
                file.write(np.arange(256, dtype=np.uint8).reshape(16, 16), contiguous=False, metadata=None)
        if pages == 40:
            assert read_image(path).size == (16, 16)
    with pytest.raises(UserError, match=r"pages\.tif is not \(it has more than 50 pages\)"):
        read_image(path)


def test_limits_are_those_of_the_documentation():
    assert (FILE_BYTES, PICTURE_BYTES) == (2048 * MB, 512 * MB)
    limits.check_size(11_585, 11_585)
    with pytest.raises(limits.PictureError):
        limits.check_size(11_586, 11_586)


@pytest.mark.parametrize("read", [read_image, lambda path: Digests(path.parent).of_all([path], FILE_BYTES)])
def test_a_file_without_end_is_not_read(tmp_path, read):
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(200 << 30)  # takes no room
    with pytest.raises(UserError, match=r"2048 MB (in|at) .*huge\.png"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("read", [read_image, lambda path: Digests(path.parent).of_all([path], FILE_BYTES)])
def test_a_pipe_is_no_image(tmp_path, read):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["tif", "jp2", "webp", "bmp", "ppm", "dcm"])
def test_heads_that_promise_too_much_are_named(tmp_path, suffix):
    """The first bytes of each format with the largest size that it can tell."""
    path = tmp_path / f"a.{suffix}"
    if suffix == "ppm":
        path.write_bytes(b"P6 99999999 99999999 65535 ")
    elif suffix == "dcm":
        pytest.importorskip("pydicom")
        from tests.toolbox.dicom_files import dataset, saved

        saved(path, dataset(Rows=65535, Columns=65535))
    else:
        PICTURE.save(path)
        content = bytearray(path.read_bytes())
        big = {"tif": (b"\x40\0\0\0", b"\xff\xff\xff\x7f"), "bmp": (b"\x40\0\0\0", b"\xff\xff\xff\x7f")}
        big |= {"jp2": (b"\0\0\0\x40", b"\x7f\xff\xff\xff"), "webp": (b"", b"")}
        old, new = big[suffix]
        content = content.replace(old, new) if old else content[:30] + b"\xff" * 8 + content[38:]
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.{suffix} is not \("):
        read_image(path)


# ---------------------------------------------------------------------------------------------------- UK Biobank's zips


def test_zips_of_dicom_are_bounded(tmp_path):
    pytest.importorskip("pydicom")
    from datasets.ukb import LeftOut, dicom
    from datasets.ukb.recipe import read_recipe
    from tests.toolbox.dicom_files import dataset, saved

    recipe = read_recipe("cmri").images
    picture = saved(tmp_path / "a.dcm", dataset()).read_bytes()
    path = tmp_path / "1_20209_2_0.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", picture + bytes(65 * MB))
    assert path.stat().st_size < MB
    with pytest.raises(LeftOut, match=r"^a zip with a file of more than 64 MB$"):
        dicom.read_images(path, recipe)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(dicom.FILES + 1):
            archive.writestr(str(number), b"")
    with pytest.raises(LeftOut, match=r"^a zip of more than 20,000 files$"):
        dicom.read_images(path, recipe)
