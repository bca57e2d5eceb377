"""DICOM files for tests, made by pydicom; import it only after `pytest.importorskip("pydicom")`."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

PERSON = "Naam^Geheim"
VALUES = np.random.default_rng(0).integers(0, 4096, (24, 40)).astype(np.uint16)


def dataset(values: np.ndarray = VALUES, syntax: UID = ExplicitVRLittleEndian, frames: int = 0, **tags) -> Dataset:
    """Return a DICOM image of values [H, W] or [H, W, 3], or of several frames of them."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    found = Dataset()
    found.file_meta, found.preamble = meta, b"\0" * 128
    found.PatientName, found.PatientID = PERSON, "7000001"
    shape = values.shape[1:] if frames else values.shape
    found.Rows, found.Columns = shape[:2]
    found.SamplesPerPixel = 3 if len(shape) == 3 else 1
    found.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    if len(shape) == 3:
        found.PlanarConfiguration = 0
    if frames:
        found.NumberOfFrames = frames
    found.BitsAllocated = found.BitsStored = values.dtype.itemsize * 8
    found.PixelRepresentation = int(values.dtype.kind == "i")
    found.HighBit = found.BitsStored - 1
    for tag, value in tags.items():
        setattr(found, tag, value)
    big = syntax == ExplicitVRBigEndian
    found.PixelData = values.astype(values.dtype.newbyteorder(">" if big else "<")).tobytes()
    found["PixelData"].VR = "OW" if values.dtype.itemsize > 1 else "OB"
    return found


def saved(path: Path, found: Dataset) -> Path:
    """Write a DICOM file, and return its path."""
    found.save_as(path, enforce_file_format=True)
    return path
