"""Saliency: maps of a picture that show what speaks for a class."""

from collections.abc import Callable

import torch
from torch import Tensor

from clip import Backbone
from dassl.errors import UserError
from explain.grad_eclip import grad_eclip
from explain.gscorecam import gscorecam
from explain.legrad import legrad
from explain.occlusion import occlusion
from explain.places import to_pixels

Maps = Callable[[Backbone, Tensor, Tensor], Tensor]
KINDS: dict[str, Maps] = {
    "grad_eclip": grad_eclip,
    "gscorecam": gscorecam,
    "legrad": legrad,
    "occlusion": occlusion,
}
DEFAULT = "grad_eclip"  # one pass through the tower, and it exists for each
AT_ONCE = 16  # pictures


def saliency(backbone: Backbone, pixels: Tensor, directions: Tensor, kind: str = "") -> Tensor:
    """Return maps in 0..1 of what speaks for a class, of the size of the pictures.

    The score of a picture is the product of the class's direction and the picture's unit feature. Each map is enlarged
    bilinearly and stretched to its own range, so that values of two maps cannot be compared; a map without differences
    is 0 everywhere. The towers compute in float32 whatever precision is set. While it lasts, no other thread may use
    the backbone.

    Args:
        backbone: whose image tower is asked.
        pixels: [B, 3, S, S], as `backbone.preprocess` makes them.
        directions: of a class for each picture [B, D], or of several [M, B, D]; `class_directions` returns them.
        kind: one of `KINDS`; "" is `DEFAULT`.

    Returns:
        [B, S, S], or [M, B, S, S], on the CPU.

    Raises:
        UserError: the kind is unknown, or this backbone has none; or there is not a direction for each picture.
    """
    name = kind or DEFAULT
    if name not in KINDS:
        raise UserError(f"Expected a kind of saliency of {', '.join(KINDS)}, but got {name!r}: choose one of them.")
    if pixels.ndim != 4 or directions.ndim not in (2, 3) or directions.shape[-2] != len(pixels):
        raise UserError(
            "Expected pictures [B, 3, S, S] and a direction for each, [B, D] or [M, B, D], but got "
            f"{list(pixels.shape)} and {list(directions.shape)}: give one picture as pixels[None]."
        )
    several = directions if directions.ndim == 3 else directions[None]
    several = several.to(backbone.device, pixels.dtype)
    parts = zip(pixels.to(backbone.device).split(AT_ONCE), several.split(AT_ONCE, dim=1), strict=True)
    with torch.autocast(backbone.device.type, enabled=False):
        found = [to_pixels(KINDS[name](backbone, *part), pixels.shape[-1]).cpu() for part in parts]
    maps = torch.cat(found, dim=1)
    return maps if directions.ndim == 3 else maps[0]
