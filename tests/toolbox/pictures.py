"""Helpers for tests of the reader: files as other programs write them, and the pictures that they must become."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np

from dassl.images import Reading, read_image

EXAMPLES = int(os.environ.get("VMFCOOP_EXAMPLES", "60"))  # random pictures of each property; 2000 for a thorough look


def seen(path: Path, **settings) -> np.ndarray:
    """Return the pixels [H, W, 3] that a model sees of a file."""
    image = read_image(path, Reading(**settings))
    assert image.mode == "RGB"
    return np.asarray(image)


def stretched(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Return values stretched to 0..255 in double precision, as the documentation describes it."""
    values = values.astype(float)
    low, high = values.min() if low is None else low, values.max() if high is None else high
    return np.rint(np.clip((values - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)


def rgb(picture: np.ndarray) -> np.ndarray:
    """Return a grey picture [H, W] or a colour picture as [H, W, 3]."""
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path: Path, values: np.ndarray, kind: int, depth: int = 16, before: bytes = b"") -> Path:
    """Write a PNG of any type (0 grey, 2 RGB, 4 grey and alpha, 6 RGBA), with chunks `before` its pixels."""
    height, width = values.shape[:2]
    packed = []
    for row in values.reshape(height, -1):
        bits = "".join(f"{value:0{depth}b}" for value in row.tolist())
        size = -(-len(bits) // 8)
        packed.append(b"\0" + int(bits.ljust(size * 8, "0"), 2).to_bytes(size, "big"))
    data = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)) + before
    data += chunk(b"IDAT", zlib.compress(b"".join(packed))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path
