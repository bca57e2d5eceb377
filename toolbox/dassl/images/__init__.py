"""Read image files of any format and depth as 8-bit RGB.

DATASETS.md has a table of what each kind of file becomes. All code that decides about pixels lies in the modules of
this folder: the feature store tells outdated features by a digest of their source (`clip.views.decoding_digest`).
"""

from dassl.images.dicom import is_dicom
from dassl.images.digest import pixel_digest
from dassl.images.limits import FILE_BYTES, PICTURE_BYTES
from dassl.images.read import NOTES, SUFFIXES, notes_of, read_image
from dassl.images.settings import Reading, reading_of

__all__ = [
    "FILE_BYTES",
    "NOTES",
    "PICTURE_BYTES",
    "SUFFIXES",
    "Reading",
    "is_dicom",
    "notes_of",
    "pixel_digest",
    "read_image",
    "reading_of",
]
