"""Read the preprocessor_config.json of two towers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clip.families.transformers_models.config import Config
from clip.families.transformers_models.names import PROCESSOR
from clip.files import Folder, HubRepo
from clip.image_input import OPENAI, ImageInput
from clip.known_keys import IMAGE_PROCESSOR, NOT_OF_PIXELS
from clip.sanitize import check_values, keep_known
from dassl.console import tell
from dassl.errors import UserError
from dassl.reading import read_json

PIXELS = 224  # side of the images where a config.json has none
RESAMPLE = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # numbers of Pillow


def clip_images(place: Folder, vision: Config) -> ImageInput:
    """Return the image input of a model as CLIPModel; raises as `read_images`."""
    processor = {"size": PIXELS, "crop_size": PIXELS, "do_center_crop": True}
    return read_images(place, vision, OPENAI, processor)


def siglip_images(place: Folder, vision: Config) -> ImageInput:
    """Return the image input of a model as SiglipModel; raises as `read_images`."""
    halves = (0.5, 0.5, 0.5)
    processor = {"size": {"height": PIXELS, "width": PIXELS}, "do_center_crop": False}
    return read_images(place, vision, ImageInput(PIXELS, halves, halves, resize_mode="squash"), processor)


def read_images(place: Folder, vision: Config, default: ImageInput, processor: Mapping[str, Any]) -> ImageInput:
    """Return the image input that a preprocessor_config.json describes.

    Args:
        place: of the model's files.
        vision: of the config.json, which has the size.
        default: for a model without that file, which is one printed line, and for keys that the file lacks.
        processor: sizes of transformers' own for keys that the file lacks.

    Raises:
        UserError: the file asks for what is not done here, or for images of another size.
    """
    side = vision.get("image_size", PIXELS)
    path = place.find(PROCESSOR)
    if path is None:
        where = place.repo if isinstance(place, HubRepo) else place.path
        tell(f"No {PROCESSOR[0]} in {where}: images are scaled and normalised as for other models of its kind")
        return default._replace(size=side)
    content = read_json(path)
    if isinstance(content, dict) and path.name == PROCESSOR[1]:
        content = content.get("image_processor")
    if not isinstance(content, dict):
        raise UserError(f"Expected a dictionary of an image processor in {path}, but there is none: copy it again.")
    kept = keep_known(content, IMAGE_PROCESSOR, path, NOT_OF_PIXELS)
    check_values(kept, IMAGE_PROCESSOR, path, "the image processor")
    known = {"image_mean": default.mean, "image_std": default.std, "resample": 3, **processor}
    asked = {**known, **{key: value for key, value in kept.items() if value is not None}}
    _check_steps(asked, path)
    squash = isinstance(asked["size"], dict) and "height" in asked["size"]
    if not squash and not asked["do_center_crop"]:
        raise UserError(
            f"Expected do_center_crop in {path}, as only the shorter edge is scaled, but it is false: such images are "
            "not square, choose another model."
        )
    for key in ("size", "crop_size") if asked["do_center_crop"] else ("size",):
        if (sides := _sides(asked[key])) != {side}:
            raise UserError(
                f"Expected {key} in {path} to be {side} pixels, the image_size of config.json beside it, but got "
                f"{' and '.join(map(str, sorted(sides)))}: copy both files from the model's page on the hub."
            )
    return ImageInput(
        side,
        tuple(asked["image_mean"]),
        tuple(asked["image_std"]),
        RESAMPLE[asked["resample"]],
        "squash" if squash else "shortest",
    )


def _check_steps(asked: Mapping[str, Any], path: Path) -> None:
    """Raise a UserError if an image processor leaves out or adds a step, or scales otherwise."""
    for key, expected in {"do_resize": True, "do_rescale": True, "do_normalize": True, "do_pad": False}.items():
        if asked.get(key, expected) != expected:
            raise UserError(
                f"Expected {key} in {path} to be {str(expected).lower()}, but got {str(not expected).lower()}: images "
                "are not prepared in this way here, choose another model."
            )
    if asked["resample"] not in RESAMPLE:
        raise UserError(
            f"Expected resample in {path} to be one of {', '.join(map(str, RESAMPLE))} (nearest, bilinear, bicubic), "
            f"but got {asked['resample']}: choose another model."
        )
    if abs(asked.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-3:
        raise UserError(
            f"Expected rescale_factor in {path} to be 1/255, but got {asked['rescale_factor']}: choose another model."
        )


def _sides(size: int | Mapping[str, int]) -> set[int]:
    """Return the sides in pixels that a size names."""
    return set(size.values()) if isinstance(size, Mapping) else {size}
