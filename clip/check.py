"""Check that a model can be loaded and encodes a picture and sentences, and show what tells a healthy copy."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from clip.backbone import Backbone
from clip.build import build_backbone
from clip.families import known_models
from dassl.errors import UserError
from dassl.images import read_image

SENTENCES = ("a photo of a glioma tumor.", "a photo of a normal brain.")


def facts(name: str, image: str | Path | None = None) -> list[tuple[str, str]]:
    """Load a backbone, encode a picture and two sentences, and return names and values of what was found.

    Args:
        name: as for `build_backbone`, which says what is raised.
        image: file of a picture; a grey ramp by default.

    Raises:
        UserError: a feature is not finite, or both sentences have the same one.
    """
    backbone = build_backbone(name)
    pixels = backbone.preprocess(read_image(image) if image else ramp())
    picture, texts = backbone.encode_image(pixels[None]), backbone.encode_text(SENTENCES)
    _check(backbone, picture, texts)
    model = known_models().get(name)
    dimension, length, side = (model.embed_dim, model.context_length, model.image_size) if model else (None,) * 3
    cosines = (picture @ texts.T)[0]
    lengths = " and ".join(str(count) for count in backbone.lengths(SENTENCES).tolist())
    most = f"{backbone.context_length}{_beside(backbone.context_length, length)}"
    parameters = sum(p.numel() for p in backbone.parameters())
    return [
        ("dimension D", f"{backbone.embed_dim}{_beside(backbone.embed_dim, dimension)}"),
        ("token dimension", str(backbone.token_dim)),
        ("tokens of a text", f"at most {most}; {lengths} of the two sentences"),
        ("images", f"{_images(backbone)}{_beside(backbone.image_size, side)}"),
        ("parameters", f"{parameters:,}{_beside(parameters, model.parameters if model else None, 3e-4)}"),
        (
            "logit scale",
            f"{backbone.logit_scale:.4g}{_beside(backbone.logit_scale, model and model.logit_scale, 2e-3)}",
        ),
        ("revision", backbone.revision or "none: a folder"),
        ("fingerprint", backbone.fingerprint()),
        ("cosine of the two sentences", f"{float(texts[0] @ texts[1]):.4f}"),
        *((f'cosine with "{text}"', f"{value:.4f}") for text, value in zip(SENTENCES, cosines.tolist(), strict=True)),
    ]


def ramp() -> Image.Image:
    """Return a picture of 320 x 240 pixels, which grows brighter from left to right."""
    return Image.linear_gradient("L").rotate(90).resize((320, 240)).convert("RGB")


def _check(backbone: Backbone, picture: Tensor, texts: Tensor) -> None:
    """Raise a UserError if the features cannot be those of a trained model."""
    if not (torch.isfinite(picture).all() and torch.isfinite(texts).all()):
        raise UserError(f"Expected finite features of {backbone.name}, but got others: copy its weights again.")
    if torch.equal(texts[0], texts[1]):
        raise UserError(
            f'Expected {backbone.name} to tell "{SENTENCES[0]}" from "{SENTENCES[1]}", but both have the same feature: '
            "copy its weights and its tokenizer again."
        )


def _images(backbone: Backbone) -> str:
    """Return in words what the backbone expects of its images."""
    images = backbone.image_input
    steps = [*images.prepare, {"shortest": "smaller edge scaled, centre cropped"}.get(images.resize_mode, "squashed")]
    mean, std = (" ".join(f"{value:.3f}" for value in values) for values in (images.mean, images.std))
    return f"{images.size} pixels, {images.interpolation}, {', '.join(steps)}, mean {mean}, std {std}"


def _beside(found: float, published: float | None, tolerance: float = 0.0) -> str:
    """Return words that compare a number with the published one; "" if none was published.

    Example:
        >>> _beside(85.2, 85.23, 2e-3), _beside(100.0, 85.23, 2e-3), _beside(100.0, None, 2e-3)
        (', as published', ', but 85.23 was published', '')
    """
    if published is None:
        return ""
    close = abs(found - published) <= tolerance * published
    return ", as published" if close else f", but {published:,.10g} was published"
