"""Grey values of a DICOM image: rescaled to the units of the file, and shown by the window that it names."""

from typing import Any

import numpy as np

from dassl.images.dicom_header import is_inverted, value_of_frame
from dassl.images.settings import Reading
from dassl.images.values import DeepPicture, range_of_type


def grey_picture(stored: np.ndarray, header: Any, frame: int, reading: Reading) -> DeepPicture:
    """Return the picture of stored grey values [H, W]."""
    bits = int(header.get("BitsStored") or stored.dtype.itemsize * 8)
    span = range_of_type(stored.dtype, None if stored.dtype.kind == "f" else bits)
    padding = None
    if (value := header.get("PixelPaddingValue")) is not None:
        padding = stored == value
        padding = padding if padding.any() and not padding.all() else None
    values = rescale(stored, header, frame)
    inverted = is_inverted(header)
    if reading.grey_range == "image":
        if (shown := _apply_window(values, header, frame)) is not None:
            return DeepPicture(shown, (0, 1), (0, 1), inverted=inverted)
        if values is stored and stored.dtype == np.uint8 and bits == 8:
            return DeepPicture(values, span, span, inverted=inverted)  # as it is, like any picture of 8 bits
    if values is not stored and "ModalityLUTSequence" not in header:
        ends = sorted(float(v) for v in rescale(np.array(span), header, frame))
        span = ends[0], ends[1]
    return DeepPicture(values, span, inverted=inverted, padding=padding)


def rescale(stored: np.ndarray, header: Any, frame: int) -> np.ndarray:
    """Return the values in the unit of the file, such as Hounsfield units; `stored` itself if nothing changes."""
    from pydicom.pixels import apply_modality_lut

    if header.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, header)
    slope = value_of_frame(header, "RescaleSlope", frame)
    intercept = float(value_of_frame(header, "RescaleIntercept", frame) or 0)
    slope = 1.0 if slope in (None, "") else float(slope)
    return stored if (slope, intercept) == (1, 0) else stored * slope + intercept


def _apply_window(values: np.ndarray, header: Any, frame: int) -> np.ndarray | None:
    """Return values from 0 to 1 by the first VOI LUT or window of the file (PS3.3 C.11.2); None if it has neither."""
    from pydicom.pixels import apply_voi

    if header.get("VOILUTSequence"):
        bits = header.VOILUTSequence[0].LUTDescriptor[2]
        whole = values if np.issubdtype(values.dtype, np.integer) else np.rint(values).astype(np.int64)
        return apply_voi(whole, header, index=0) / np.float32(2**bits - 1)
    centre, width = (_first_number(value_of_frame(header, f"Window{name}", frame)) for name in ("Center", "Width"))
    if centre is None or width is None:
        return None
    kind = str(value_of_frame(header, "VOILUTFunction", frame) or "LINEAR").strip().upper()
    values = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    if kind == "SIGMOID" and width > 0:
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if kind == "LINEAR" and width >= 1:  # PS3.3 C.11.2.1.2
        centre, width = centre - 0.5, width - 1
    elif width <= 0 or kind not in ("LINEAR", "LINEAR_EXACT"):
        return None
    if width == 0:
        return (values > centre).astype(np.float32)
    return ((values - centre) / width + 0.5).clip(0, 1)


def _first_number(value: Any) -> float | None:
    """Return a number, or the first of several; None if there is none."""
    if value is None or value == "":
        return None
    if hasattr(value, "__iter__") and not isinstance(value, str):
        return float(value[0]) if len(value) else None
    return float(value)
