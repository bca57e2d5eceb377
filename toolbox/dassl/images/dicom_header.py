"""The header of a DICOM image: the tags that decide about its pixels, and nothing else."""

from typing import Any, BinaryIO

from dassl.images.limits import PictureError, check_size

FRAMES = 1_000_000
TAGS = [
    *("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("HighBit", "PlanarConfiguration", "PhotometricInterpretation", "PresentationLUTShape", "PixelPaddingValue"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{name}PaletteColorLookupTableDescriptor" for name in ("Red", "Green", "Blue")),
    *(f"{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    *(f"Segmented{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]
GROUPS = {  # of images of several frames: the sequence that may hold a value of one frame
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
    "VOILUTFunction": "FrameVOILUTSequence",
}


def read_header(file: BinaryIO) -> Any:
    """Return the tags of `TAGS` as a data set of pydicom.

    Raises:
        PictureError: the file holds no picture, or one that is too large or has too many frames.
    """
    import pydicom

    file.seek(0)
    header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=TAGS)
    if "Rows" not in header or "Columns" not in header:
        raise PictureError("the DICOM file holds no picture")
    pixel_bytes = int(header.get("SamplesPerPixel") or 1) * max(1, int(header.get("BitsAllocated") or 8) // 8)
    check_size(int(header.Rows), int(header.Columns), pixel_bytes)
    if not 1 <= count_frames(header) <= FRAMES:
        raise PictureError(f"it has more than {FRAMES:,} frames")
    return header


def count_frames(header: Any) -> int:
    """Return the number of frames."""
    return int(header.get("NumberOfFrames") or 1)


def is_inverted(header: Any) -> bool:
    """Return whether the lowest value is white."""
    return header.PhotometricInterpretation == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"


def value_of_frame(header: Any, keyword: str, frame: int) -> Any:
    """Return a value from the header, or else from its part about one frame, or about all frames; None if absent."""
    if header.get(keyword) is not None:
        return header.get(keyword)
    per_frame, shared = header.get("PerFrameFunctionalGroupsSequence"), header.get("SharedFunctionalGroupsSequence")
    for group in (per_frame[frame] if per_frame and frame < len(per_frame) else None, shared[0] if shared else None):
        found = group.get(GROUPS[keyword]) if group is not None else None
        if found and found[0].get(keyword) is not None:
            return found[0].get(keyword)
    return None
