"""Build any model that open_clip can build: BiomedCLIP, OpenAI's CLIP, PhantomCLIP, `hf-hub:...`, `local-dir:...`."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

from clip.backbone import Backbone
from clip.families.open_clip_models.checkpoint import load_weights
from clip.families.open_clip_models.published import find_config, find_weights
from clip.families.open_clip_models.towers import (
    CausalTextBackbone,
    FixedTextBackbone,
    HFTextBackbone,
    OpenCLIPBackbone,
)
from clip.files import Folder, locate
from clip.image_input import described_input
from clip.sanitize import read_model_config, write_text_files
from clip.speed.skip_init import SkipInit
from clip.weights import one_line
from dassl.errors import UserError
from dassl.reading import read_json

Config = Mapping[str, Any]  # part of an open_clip_config.json
OF_TRAINING = re.compile("drop|init|use_cache|tokenizer_class")  # in keys of a text tower that change no feature


def build(name: str, source: str, wanted: Sequence[str] = ()) -> Backbone:
    """Build the backbone whose files lie at `source`.

    Args:
        name: as the user asked for it.
        source: `hf-hub:org/model` or `local-dir:/path`.
        wanted: published names of its weights, as in `clip.families.open_clip_models.published.weight_names`.

    Raises:
        UserError: a file is missing; names it, where it was looked for, and how to bring it.
        UserError: the configuration is not supported, or the weights do not fit it.
    """
    place = locate(source)
    path = find_config(place, wanted)
    model_cfg, preprocess = read_model_config(path)
    backbone = build_towers(place, model_cfg, path)
    load_weights(backbone.model, find_weights(place, wanted), path)
    backbone.image_input = described_input(model_cfg, preprocess)
    return finish(backbone, name, place, model_cfg)


def build_towers(place: Folder, model_cfg: Config, path: Path) -> OpenCLIPBackbone:
    """Build a backbone whose weights are not loaded yet.

    Args:
        place: of the model's files.
        model_cfg: as in an open_clip_config.json.
        path: of the file that it is from, for messages.

    Raises:
        UserError: a file of the tokenizer is missing, or open_clip cannot build the model.
    """
    hugging_face = model_cfg["text_cfg"].get("hf_model_name")
    backbone = (_hf_backbone if hugging_face else _causal_backbone)(place, model_cfg, path)
    check_tokenizer(backbone, path)
    return backbone


def finish(backbone: OpenCLIPBackbone, name: str, place: Folder, model_cfg: Config) -> Backbone:
    """Describe and freeze a backbone whose weights are loaded."""
    backbone.model.visual.to(memory_format=torch.channels_last)  # convolutions on a CPU are several times as fast
    backbone.name = name
    backbone.revision = place.revision
    backbone.recipe = json.dumps([model_cfg, dict(backbone.text_config)], sort_keys=True)
    backbone.embed_dim = model_cfg["embed_dim"]
    backbone.logit_scale = backbone.model.logit_scale.exp().item()
    return backbone.freeze()


def _hf_backbone(place: Folder, model_cfg: Config, path: Path) -> HFTextBackbone:
    """Build a backbone with a text tower of transformers; its weights are not loaded yet."""
    text_cfg = model_cfg["text_cfg"]
    with tempfile.TemporaryDirectory() as folder:
        files = write_text_files(place, text_cfg, Path(folder))
        tokenizer = hf_tokenizer(folder, files, text_cfg)
        config = read_json(Path(folder, "config.json"))
        with building(path):
            model = CustomTextCLIP(**_model_options(model_cfg, hf_model_name=folder))
    backbone = HFTextBackbone(model, tokenizer)
    backbone.text_config = {key: value for key, value in config.items() if not OF_TRAINING.search(key)}
    return backbone


def _causal_backbone(place: Folder, model_cfg: Config, path: Path) -> CausalTextBackbone:
    """Build a backbone with open_clip's own text tower; its weights are not loaded yet."""
    text_cfg = model_cfg["text_cfg"]
    check_causal(text_cfg, path)
    with tempfile.TemporaryDirectory() as folder:
        files = write_text_files(place, text_cfg, Path(folder))
        tokenizer = hf_tokenizer(folder, files, text_cfg) if files else _openai_tokenizer(text_cfg)
    with building(path):
        model = (CustomTextCLIP if model_cfg.get("custom_text") else CLIP)(**_model_options(model_cfg))
    return (FixedTextBackbone if _is_fixed(text_cfg) else CausalTextBackbone)(model, tokenizer)


def _is_fixed(text_cfg: Config) -> bool:
    """Return whether texts are read as SigLIP's: both ways, out at the last place, in words of their own."""
    both_ways = text_cfg.get("no_causal_mask") and not text_cfg.get("embed_cls")
    own_words = text_cfg.get("hf_tokenizer_name")  # OpenAI's tokenizer puts a token before a text
    return bool(both_ways and own_words) and text_cfg.get("pool_type") == "last"


def _model_options(model_cfg: Config, **text: Any) -> dict[str, Any]:
    """Return the arguments of open_clip's models; each tower returns one feature, without one per token or patch.

    Args:
        model_cfg: as in the open_clip_config.json.
        text: replaces keys of its text_cfg.
    """
    options = {key: value for key, value in model_cfg.items() if key != "custom_text"}
    text_cfg = dict(model_cfg["text_cfg"], output_tokens=False) | text
    return options | {"text_cfg": text_cfg, "vision_cfg": dict(model_cfg["vision_cfg"], output_tokens=False)}


@contextmanager
def building(path: Path) -> Iterator[None]:
    """Build a model without initial values; raise a UserError that names `path` if open_clip cannot build it."""
    try:
        with SkipInit():
            yield
    except Exception as error:  # of any kind, as numbers that do not fit each other lead to
        raise UserError(
            f"Expected {path} to describe a model that open_clip builds, but: {one_line(error)}: copy the file from "
            "the model's page on the hub."
        ) from error


def _openai_tokenizer(text_cfg: Config) -> SimpleTokenizer:
    """Return the tokenizer of OpenAI's CLIP, which open_clip contains."""
    asked = text_cfg.get("tokenizer_kwargs") or {}
    return SimpleTokenizer(
        context_length=text_cfg.get("context_length") or 77, **{key: asked[key] for key in asked if key == "clean"}
    )


def hf_tokenizer(folder: str, files: Sequence[Path], text_cfg: Config) -> HFTokenizer:
    """Return the tokenizer in `folder`.

    Args:
        folder: has copies of the tokenizer's files, reduced to known keys.
        files: the original files, the vocabulary first.
        text_cfg: as in the open_clip_config.json.

    Raises:
        UserError: a file is damaged; names the original.
    """
    asked = {"tokenizer_mode": text_cfg.get("tokenizer_mode")} | (text_cfg.get("tokenizer_kwargs") or {})
    length = text_cfg.get("context_length") or 77
    try:
        return HFTokenizer(folder, context_length=length, local_files_only=True, trust_remote_code=False, **asked)
    except Exception as error:  # each tokenizer has its own, often a bare Exception
        for path in files:
            if path.suffix == ".json":
                read_json(path)  # names the file if it is no JSON
        raise UserError(
            f"Expected a tokenizer in {files[0].parent}, but {files[0].name} cannot be read "
            f"({one_line(error)}): copy or download it again."
        ) from error


def check_causal(text_cfg: Config, path: Path) -> None:
    """Raise a UserError unless a text's feature is read at its end, and tokens see only those before them."""
    pool = text_cfg.get("pool_type") or "argmax"
    if _is_fixed(text_cfg):
        return
    if pool not in ("argmax", "eos") or text_cfg.get("no_causal_mask") or text_cfg.get("embed_cls"):
        raise UserError(
            f'Expected a causal text tower that is read out at its end-of-text token ("argmax" or "eos") in {path}, '
            f'but this one pools by "{pool}" or sees both ways: choose another model.'
        )


def check_tokenizer(backbone: OpenCLIPBackbone, path: Path) -> None:
    """Raise a UserError unless the tokenizer belongs to the model.

    Each word has to have an embedding, and each text one token before it and one behind it, because learned context
    goes between these two.
    """
    known, embeddings = backbone.words(), backbone.embeddings.num_embeddings
    if max(known) >= embeddings:
        raise UserError(
            f"Expected a tokenizer of at most {embeddings} words, as {path} describes the text tower, but it has "
            f"{max(known) + 1}: put the tokenizer of this model beside it, and name it by hf_tokenizer_name if "
            "there is an open_clip_config.json."
        )
    tokens = backbone.tokenize([""])
    if backbone.end_is_highest and tokens.ids[0, -1] != max(known):
        raise UserError(
            f"Expected the end-of-text token to have the highest id, as {path} asks for by pool_type, but it is "
            f"{int(tokens.ids[0, -1])} of {max(known)}: give pool_type eos and eos_id there, if it was trained so."
        )
    if backbone.fixed_length:
        if backbone.lengths([""]).tolist() != [1]:
            raise UserError(
                f"Expected the tokenizer that {path} asks for to put one token behind a text and none before it, but "
                f"of an empty text it makes {tokens.ids[0].tolist()[:8]}: prompts cannot be learned with it."
            )
    elif tokens.ids.shape != (1, 2) or not tokens.mask.all():
        raise UserError(
            f"Expected the tokenizer that {path} asks for to put one token before a text and one behind it, but of an "
            f"empty text it makes {tokens.ids[0].tolist()[:8]}: prompts cannot be learned with it."
        )
