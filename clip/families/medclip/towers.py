"""MedCLIP's towers: Swin or ResNet, and BERT; sizes are read from shapes, as no configuration is published."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet
from transformers import BertConfig, BertModel, SwinConfig, SwinModel
from transformers.utils import logging

from clip.image_layers import ImageLayers
from clip.part import Part
from clip.speed.skip_init import SkipInit
from clip.weights import one_line
from dassl.errors import UserError

IMAGE_SIZE = 224
POOLED = (1, 2, -1)  # layers of BERT whose mean over the tokens makes a text's feature
HEAD_WIDTH = 64  # of BERT, in all its published sizes
MOST_LOG_SCALE = 4.6052  # to which training limited it
IMAGE, TEXT, HEAD = "vision_model.", "text_model.", "projection_head."
KNOWN = ("logit_scale", *(f"{tower}{part}" for tower in (IMAGE, TEXT) for part in ("model.", HEAD)))
INDEX = ".relative_position_index"  # of Swin, which follows from its window; older versions wrote it
RESNET = f"{IMAGE}model.fc.weight"  # the ResNet's own last layer is its projection


class MaskedMean(nn.Module):
    """The mean over layers `POOLED` of the mean over a text's tokens, as open_clip calls what pools a text tower.

    The published code takes padding into the mean, but never pads a text that is encoded alone. Without padding, each
    text has this feature whatever it is encoded with.
    """

    def forward(self, out: Any, mask: Tensor) -> Tensor:
        """Return features [N, width] of BERT's output and a mask [N, L]."""
        layers = torch.stack([out.hidden_states[layer] for layer in POOLED]).mean(dim=0)
        weights = mask[..., None].to(layers.dtype)
        return (layers * weights).sum(dim=1) / weights.sum(dim=1)


class TextTower(nn.Module):
    """BERT, pooling and projection, with the names of open_clip's text towers.

    Args:
        transformer: of BERT's layers, which returns all hidden states.
        proj: from its width to the joint space.
    """

    def __init__(self, transformer: BertModel, proj: nn.Linear):
        super().__init__()
        self.transformer, self.pooler, self.proj = transformer, MaskedMean(), proj
        self.config = transformer.config


class SwinTower(nn.Module):
    """Swin, whose feature is the mean of its last tokens, and projection."""

    def __init__(self, model: SwinModel, proj: nn.Linear):
        super().__init__()
        self.model, self.proj = model, proj

    def forward(self, images: Tensor) -> Tensor:
        """Return features [B, D] of pixels [B, 3, 224, 224]."""
        return self.proj(self.model(images).pooler_output)

    def image_layers(self) -> ImageLayers:
        """Return the layers at which it can be asked where it looks."""
        return ImageLayers(self.model.layernorm)


class MedCLIP(nn.Module):
    """Both towers.

    Attributes:
        embed_dim: dimension D of the joint space.
        logit_scale: factor of the cosines, within the bounds of training.
    """

    def __init__(self, visual: SwinTower | ResNet, text: TextTower, logit_scale: float):
        super().__init__()
        self.visual, self.text = visual, text
        self.embed_dim, self.logit_scale = text.proj.out_features, logit_scale

    def encode_image(self, images: Tensor) -> Tensor:
        """Return features [B, D] of pixels [B, 3, 224, 224]."""
        return self.visual(images)


def build_towers(tensors: Mapping[str, Tensor], path: Path) -> MedCLIP:
    """Build the towers that a file of weights holds.

    Args:
        tensors: of the file, by their published names.
        path: of the file, for errors.

    Raises:
        UserError: tensors are missing, left over or of shapes that do not fit each other; names file and tensors.
    """
    whole = Part(tensors, "", path)
    whole.check({"logit_scale"} - tensors.keys(), [name for name in tensors if not name.startswith(KNOWN)])
    image, text = Part(tensors, f"{IMAGE}model.", path), Part(tensors, f"{TEXT}model.", path)
    image_head, text_head = Part(tensors, f"{IMAGE}{HEAD}", path), Part(tensors, f"{TEXT}{HEAD}", path)
    with _building(path):
        visual = _resnet(image, image_head) if RESNET in tensors else _swin(image, image_head)
        tower = TextTower(_bert(text), _linear(text_head))
        scale = tensors["logit_scale"].clamp(0, MOST_LOG_SCALE).exp().item()
    if (found := (visual.fc if isinstance(visual, ResNet) else visual.proj).out_features) != tower.proj.out_features:
        raise UserError(
            f"Expected one joint space in {path}, but it has {found} dimensions for images and "
            f"{tower.proj.out_features} for texts: give another model."
        )
    visual.to(memory_format=torch.channels_last)  # convolutions on a CPU are several times as fast
    return MedCLIP(visual, tower, scale)


def _linear(part: Part) -> nn.Linear:
    """Return a projection without bias."""
    out, width = part.shape("weight")
    with SkipInit():
        layer = nn.Linear(width, out, bias=False)
    part.fill(layer)
    return layer


def _resnet(part: Part, projection: Part) -> ResNet:
    """Return torchvision's ResNet with a projection as its last layer, such as the ResNet-50; `projection` is empty."""
    projection.check((), projection.tensors)
    out, width = part.shape("fc.weight")
    with SkipInit():
        model = ResNet(Bottleneck, [part.count(rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)])
        model.fc = nn.Linear(width, out, bias=False)
    part.fill(model)
    return model


def _swin(part: Part, projection: Part) -> SwinTower:
    """Return transformers' Swin, which gives its layers new names as it loads them, and the projection."""
    width, channels, patch, _ = part.shape("embeddings.patch_embeddings.projection.weight")
    stages = range(part.count(r"encoder\.layers\.(\d+)\."))
    tables = [part.shape(f"encoder.layers.{i}.blocks.0.attention.self.relative_position_bias_table") for i in stages]
    config = SwinConfig(
        image_size=IMAGE_SIZE,
        patch_size=patch,
        num_channels=channels,
        embed_dim=width,
        depths=[part.count(rf"encoder\.layers\.{i}\.blocks\.(\d+)\.") for i in stages],
        num_heads=[heads for _, heads in tables],
        window_size=_window(tables[0][0]),
        mlp_ratio=part.shape("encoder.layers.0.blocks.0.intermediate.dense.weight")[0] / width,
    )
    with _quiet():
        model, found = SwinModel.from_pretrained(
            None, config=config, state_dict=part.tensors, output_loading_info=True, ignore_mismatched_sizes=True
        )
    if misshapen := found["mismatched_keys"]:
        name, held, needed = next(iter(misshapen))
        raise UserError(
            f"Expected {part.prefix}{name} in {part.path} to be {list(needed)}, as the other tensors make it, but got "
            f"{list(held)}: download the file again."
        )
    part.check(found["missing_keys"], [name for name in found["unexpected_keys"] if not name.endswith(INDEX)])
    return SwinTower(model, _linear(projection))


def _bert(part: Part) -> BertModel:
    """Return transformers' BERT, which returns the hidden states of all layers."""
    words, width = part.shape("embeddings.word_embeddings.weight")
    config = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=part.count(r"encoder\.layer\.(\d+)\."),
        num_attention_heads=width // HEAD_WIDTH,
        intermediate_size=part.shape(f"encoder.layer.{max(POOLED) - 1}.intermediate.dense.weight")[0],
        max_position_embeddings=part.shape("embeddings.position_embeddings.weight")[0],
        type_vocab_size=part.shape("embeddings.token_type_embeddings.weight")[0],
        output_hidden_states=True,
    )
    with SkipInit():
        model = BertModel(config)
    part.fill(model)
    return model


def recipe_of(model: MedCLIP) -> dict[str, Any]:
    """Return what decides features beside the weights."""
    text = model.text.config
    recipe = {"pooled": POOLED, "mask": True, "text_heads": text.num_attention_heads, "eps": text.layer_norm_eps}
    if isinstance(model.visual, SwinTower):
        swin = model.visual.model.config
        recipe |= {"heads": swin.num_heads, "window": swin.window_size, "image_eps": swin.layer_norm_eps}
    return recipe


def _window(positions: int) -> int:
    """Return the side w of a window of patches from its number (2w - 1)^2 of relative positions.

    Example:
        >>> _window(169)
        7
    """
    return (math.isqrt(positions) + 1) // 2


@contextmanager
def _building(path: Path) -> Iterator[None]:
    """Raise a UserError that names `path` if sizes that were read from it make no model."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # of any kind, as numbers that do not fit each other lead to
        raise UserError(
            f"Expected weights of MedCLIP in {path}, but their shapes make no model ({one_line(error)}): download the "
            "file again."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing a bar and printing a table of tensors that do not fit, which we name."""
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
