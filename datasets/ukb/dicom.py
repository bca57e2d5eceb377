"""Read grey images from a zip of DICOM files: choose slices and phases, and scale grey values to 0 to 255."""

import io
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dassl.images.dicom import NotGrey, Undecodable, inflated, need_pydicom, values_of
from dassl.images.limits import MB
from datasets.ukb import LeftOut
from datasets.ukb.recipe import Images

pydicom = need_pydicom()
FILE_BYTES = 64 * MB  # of a DICOM file in a zip; theirs have less than 1 MB
FILES = 20_000  # in a zip; theirs have some 600
APART = 0.5  # mm; images that are closer show the same slice
TAGS = [
    *("SeriesDescription", "SeriesNumber", "ImageType", "BurnedInAnnotation"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceLocation"),
    *("TriggerTime", "EchoTime", "InstanceNumber"),
]


@dataclass(frozen=True)
class Header:
    """The part of a DICOM header that decides whether an image is taken.

    Attributes:
        file: name in the zip.
        position: mm, along the normal of the image's plane.
        series: number of the series.
        phase: trigger time (ms), echo time (ms) and instance number; phases are in this order.
    """

    file: str
    position: float
    series: int
    phase: tuple[float, float, int]


def read_images(path: Path, recipe: Images) -> dict[str, np.ndarray]:
    """Return the images of a zip that the recipe asks for, uint8 [H, W], by slice and phase such as "s05_p00".

    Raises:
        LeftOut: the zip or its images cannot be read, or it lacks the series, slices or phases.
    """
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
            warnings.simplefilter("ignore")  # pydicom's quote what the headers hold
            if len(archive.infolist()) > FILES:
                raise LeftOut(f"a zip of more than {FILES:,} files")
            headers = [header for file in archive.namelist() if (header := _header(archive, file, recipe))]
            files = choose_files(headers, recipe)
            return {name: _pixels(archive, file, recipe) for name, file in files.items()}
    except LeftOut:
        raise
    except Exception:  # decoders raise whatever they like on damaged files; their words may quote a path or a header
        raise LeftOut("a zip, or DICOM files in it, that cannot be read") from None


def choose_files(headers: list[Header], recipe: Images) -> dict[str, str]:
    """Return the files of the slices and phases that the recipe asks for, named as in `read_images`.

    Of a slice that was taken several times the last series is used: the earlier ones were not good enough.

    Raises:
        LeftOut: there is no header, or there are too few slices, or phases of a slice.
    """
    if not headers:
        raise LeftOut("a zip without the series")
    slices: list[list[Header]] = []
    for header in sorted(headers, key=lambda header: header.position):
        if not slices or header.position - slices[-1][-1].position > APART:
            slices.append([])
        slices[-1].append(header)
    if len(slices) < recipe.slices.least:
        raise LeftOut("a series with too few slices")
    chosen: dict[str, str] = {}
    for i in recipe.slices.of(len(slices)):
        last = max(header.series for header in slices[i])
        phases = sorted((h for h in slices[i] if h.series == last), key=lambda header: (header.phase, header.file))
        if len(phases) < recipe.phases.least:
            raise LeftOut("a series with too few phases")
        chosen |= {f"s{i:02}_p{j:02}": phases[j].file for j in recipe.phases.of(len(phases))}
    return chosen


def to_grey(pixels: np.ndarray, window: tuple[float, float], inverted: bool = False) -> np.ndarray:
    """Scale values [H, W] to uint8: the lower percentile of the window becomes black and the upper one white.

    Args:
        pixels: values.
        window: lower and upper percentile.
        inverted: make the lower percentile white instead.

    >>> to_grey(np.array([[0, 10], [20, 30]]), (0, 100)).tolist()
    [[0, 85], [170, 255]]
    """
    low, high = np.percentile(pixels, window)
    grey = np.round(255 * np.clip((pixels - low) / (high - low or 1), 0, 1)).astype(np.uint8)
    return 255 - grey if inverted else grey


def _header(archive: zipfile.ZipFile, file: str, recipe: Images) -> Header | None:
    """Return the header of an image of the series; None of other images and of files that are not DICOM."""
    try:
        found = pydicom.dcmread(inflated(_open(archive, file)), stop_before_pixels=True, specific_tags=TAGS)
    except pydicom.errors.InvalidDicomError:  # the manifest
        return None
    kind = found.get("ImageType") or []
    if (
        not re.fullmatch(recipe.series, str(found.get("SeriesDescription") or "").strip(), re.IGNORECASE)
        or set(recipe.without) & set([kind] if isinstance(kind, str) else kind)
        or found.get("BurnedInAnnotation") == "YES"  # may be a name
    ):
        return None
    phase = (
        float(found.get("TriggerTime") or 0),
        float(found.get("EchoTime") or 0),
        int(found.get("InstanceNumber") or 0),
    )
    return Header(file, _position(found), int(found.get("SeriesNumber") or 0), phase)


def _position(found: Any) -> float:
    """Return the place (mm) of a DICOM header's image along the normal of its plane."""
    origin, axes = found.get("ImagePositionPatient"), found.get("ImageOrientationPatient")
    if not origin or not axes:
        return float(found.get("SliceLocation") or 0)
    return float(np.dot(np.cross(axes[:3], axes[3:]), origin))


def _pixels(archive: zipfile.ZipFile, file: str, recipe: Images) -> np.ndarray:
    """Return an image, uint8 [H, W]."""
    try:
        pixels, inverted = values_of(_open(archive, file))
    except Undecodable as error:
        raise LeftOut(
            f"pixels compressed as {error.syntax} that cannot be decoded: if they are not damaged, "
            'pip install "pylibjpeg[all]" and run again'
        ) from None
    except NotGrey:
        raise LeftOut("images in colour, or of several frames") from None
    return to_grey(pixels, recipe.window, inverted)


def _open(archive: zipfile.ZipFile, file: str) -> io.BytesIO:
    """Return the content of a file in the zip; raise `LeftOut` if it is larger than a DICOM file of one image."""
    if archive.getinfo(file).file_size > FILE_BYTES:  # zipfile reads no more than this size
        raise LeftOut(f"a zip with a file of more than {FILE_BYTES // MB} MB")
    return io.BytesIO(archive.read(file))
