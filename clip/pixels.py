"""The one reader of image files, which the toolbox's own loaders use too."""

from dassl.images import FILE_BYTES, NOTES, Reading, notes_of, read_image

__all__ = ["FILE_BYTES", "NOTES", "Reading", "notes_of", "read_image"]
