"""Load models in the layout of transformers' CLIPModel into open_clip's model, which computes the same."""

import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clip.backbone import Backbone
from clip.families.open_clip_models.model import build_towers, finish
from clip.families.transformers_models.config import Config, read_towers
from clip.families.transformers_models.images import clip_images
from clip.families.transformers_models.names import find_weights
from clip.files import TOKENIZER, Folder, HubRepo, locate
from clip.part import Part
from clip.weights import one_line, read_tensors
from dassl.console import tell
from dassl.errors import UserError

ARGMAX = 2  # the end-of-text id of older files, with which transformers takes the highest id of a text as its end
NAMES = {
    r"text_model\.embeddings\.token_embedding": "token_embedding",
    r"text_model\.embeddings\.position_embedding\.weight": "positional_embedding",
    r"text_model\.final_layer_norm": "ln_final",
    r"text_model\.encoder\.layers": "transformer.resblocks",
    r"text_projection\.weight": "text_projection",
    r"vision_model\.embeddings\.class_embedding": "visual.class_embedding",
    r"vision_model\.embeddings\.patch_embedding": "visual.conv1",
    r"vision_model\.embeddings\.position_embedding\.weight": "visual.positional_embedding",
    r"vision_model\.pre_layrnorm": "visual.ln_pre",
    r"vision_model\.post_layernorm": "visual.ln_post",
    r"vision_model\.encoder\.layers": "visual.transformer.resblocks",
    r"visual_projection\.weight": "visual.proj",
}
IN_BLOCKS = {".layer_norm": ".ln_", ".self_attn.": ".attn.", ".mlp.fc1.": ".mlp.c_fc.", ".mlp.fc2.": ".mlp.c_proj."}
TRANSPOSED = ("text_projection", "visual.proj")
QUERIES = re.compile(r"(.+\.attn\.)q_proj\.(weight|bias)")


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`.

    Args:
        name: as the user asked for it.
        source: `hf-hub:org/model` or `local-dir:/path`.

    Raises:
        UserError: a file is missing or damaged, the configuration is not supported, or the weights do not fit it.
    """
    place = locate(source)
    path = place.need("config.json")
    whole, text, vision = read_towers(path)
    model_cfg = to_open_clip_config(whole, text, vision, path)
    if place.find(["tokenizer_config.json"]) and place.find(TOKENIZER):
        model_cfg["text_cfg"]["hf_tokenizer_name"] = _repository(place)
    else:
        tell("Texts are tokenized by the vocabulary of OpenAI's CLIP, as the model comes without a tokenizer")
    backbone = build_towers(place, model_cfg, path)
    weights = find_weights(place)
    part = Part(read_tensors(weights), "", weights)
    Part(to_open_clip_names(part.tensors), "", weights).fill(backbone.model)
    backbone.image_input = clip_images(place, vision)
    return finish(backbone, name, place, model_cfg)


def _repository(place: Folder) -> str:
    """Return the repository of a model at the commit of its other files; of a folder, any name will do."""
    return f"{place.repo}@{place.revision}" if isinstance(place, HubRepo) else "beside"


def to_open_clip_config(whole: Config, text: Config, vision: Config, path: Path) -> dict[str, Any]:
    """Return the model_cfg of open_clip for the parts of a config.json, as `read_towers` returns them.

    Raises:
        UserError: open_clip's model cannot express it; names file, key and value.
    """
    from transformers import CLIPConfig

    try:  # it fills in what the file leaves out
        config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=whole.get("projection_dim", 512))
    except Exception as error:  # of several kinds, as numbers that do not fit each other lead to
        raise UserError(
            f"Expected {path} to describe a CLIPModel, but: {one_line(error)}: copy the file from the model's page on "
            "the hub."
        ) from error
    activations = {config.text_config.hidden_act, config.vision_config.hidden_act}
    if len(activations) > 1 or not activations <= {"quick_gelu", "gelu"}:
        raise UserError(
            f"Expected hidden_act in {path} to be quick_gelu or gelu, the same in text_config and vision_config, but "
            f"got {' and '.join(sorted(activations))}: choose another model."
        )
    end = config.text_config.eos_token_id
    return {
        "embed_dim": config.projection_dim,
        "quick_gelu": activations == {"quick_gelu"},
        "vision_cfg": _tower(config.vision_config)
        | {
            "head_width": config.vision_config.hidden_size // config.vision_config.num_attention_heads,
            "image_size": config.vision_config.image_size,
            "patch_size": config.vision_config.patch_size,
        },
        "text_cfg": _tower(config.text_config)
        | {
            "heads": config.text_config.num_attention_heads,
            "vocab_size": config.text_config.vocab_size,
            "context_length": config.text_config.max_position_embeddings,
        }
        | ({} if end == ARGMAX else {"pool_type": "eos", "eos_id": end}),
    }


def _tower(config: Any) -> dict[str, Any]:
    """Return what both towers have: width, layers, and the numbers of their blocks."""
    width, inner = config.hidden_size, config.intermediate_size
    ratio = inner / width
    if int(width * ratio) < inner:  # as open_clip computes it
        ratio = math.nextafter(ratio, math.inf)
    norm = {"eps": config.layer_norm_eps}
    return {"width": width, "layers": config.num_hidden_layers, "mlp_ratio": ratio, "norm_kwargs": norm}


def to_open_clip_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a CLIPModel under the names of open_clip; names that are not known stay as they are.

    Queries, keys and values of attention become one matrix, and projections are transposed.
    """
    renamed = {_rename(name): tensor for name, tensor in tensors.items()}
    for name in TRANSPOSED:
        if name in renamed:
            renamed[name] = renamed[name].T.contiguous()
    for name in [name for name in renamed if QUERIES.fullmatch(name)]:
        parts = [name.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
        if all(part in renamed for part in parts):
            joined = QUERIES.sub(r"\1in_proj_\2", name)
            renamed[joined] = torch.cat([renamed.pop(part) for part in parts])
    return renamed


def _rename(name: str) -> str:
    """Return open_clip's name of a tensor of CLIPModel.

    Example:
        >>> _rename("vision_model.encoder.layers.3.mlp.fc1.bias")
        'visual.transformer.resblocks.3.mlp.c_fc.bias'
    """
    for old, new in NAMES.items():
        if found := re.match(old, name):
            name = new + name[found.end() :]
            break
    for old, new in IN_BLOCKS.items():
        name = name.replace(old, new)
    return name
