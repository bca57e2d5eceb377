"""The one reader of image files: whatever the format and depth, what a model sees is 8-bit RGB.

DATASETS.md has the table of what each kind becomes. What decides about pixels lies in this package and nowhere else: a
store of features tells by its source whether it still holds (`clip.views.decoding_digest`).
"""

from dassl.images.dicom import is_dicom
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
    "read_image",
    "reading_of",
]
