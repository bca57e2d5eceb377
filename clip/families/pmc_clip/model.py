"""Build PMC-CLIP from its files of an image tower, a text tower, and the projection of texts.

Sizes are read from the shapes in the files. What no shape tells is a `Recipe`, of which two are in use.
"""

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from open_clip.model import CustomTextCLIP
from torch import Tensor

from clip.backbone import Backbone, Tokens
from clip.families.open_clip_models.model import building, check_tokenizer, hf_tokenizer
from clip.families.open_clip_models.towers import HFTextBackbone
from clip.families.pmc_clip import BERT, FILES
from clip.files import Folder, HubRepo, locate
from clip.image_input import OPENAI
from clip.part import Part
from clip.sanitize import BUNDLED, write_text_files
from clip.weights import check_held, read_plain, read_tensors
from dassl.console import tell
from dassl.errors import UserError
from dassl.reading import read_json

CONTEXT_LENGTH = 77
TEXT_CFG = {"hf_model_pretrained": False, "hf_proj_type": "linear", "hf_pooler_type": "cls_pooler"}
VOCABULARY = ("tokenizer.json", "vocab.txt")


class Recipe(NamedTuple):
    """What decides features beside the weights, and no shape in the files tells.

    Attributes:
        user: who builds it so.
        heads: of the attention that pools an image; 0 for one per 64 channels.
        pooled: whether a text is BERT's pooler output; otherwise it is the last state of [CLS].
        masked: whether padding is masked; otherwise each text has 77 tokens that all see each other.
        tokenizer: its repository of the hub.
        log_scale: logarithm of the factor of cosines.
    """

    user: str
    heads: int
    pooled: bool
    masked: bool
    tokenizer: str
    log_scale: float


BIOMEDCOOP = Recipe("BiomedCoOp", 8, True, True, BERT, 4.4292)  # trainers/CoOp/coop_pmcclip.py
# src/pmc_clip/model/pmc_clip.py of WeixiongLin/PMC-CLIP; its scale was learned from this on, and was not published.
TRAINING = Recipe("the training code", 0, False, False, f"{BERT}-fulltext", math.log(1 / 0.07))
RECIPES = {"PMC-CLIP": BIOMEDCOOP, "PMC-CLIP-training": TRAINING}


class PaddedTextBackbone(HFTextBackbone):
    """A text tower without a mask, as BERT: texts are never trimmed, because their padding is seen."""

    fixed_length = True

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Return ids and mask [N, context_length]; the mask is True everywhere."""
        ids = self.tokenizer(list(texts)).to(self.device)
        return Tokens(ids, torch.ones_like(ids, dtype=torch.bool))

    def lengths(self, texts: Sequence[str]) -> Tensor:
        """Return the numbers of tokens [N] of texts, special ones with them and padding without."""
        return (self.tokenize(texts).ids != self.pad_id).sum(dim=1)

    def as_texts(self, ids: Tensor) -> Tokens:
        """Return ids and mask [N, context_length] of N texts that have one token each; ids [N]."""
        empty = self.tokenize([""]).ids.expand(len(ids), -1)  # [CLS] [SEP] pad ...
        texts = torch.cat([empty[:, :1], ids[:, None], empty[:, 1:-1]], dim=1)
        return Tokens(texts, torch.ones_like(texts, dtype=torch.bool))


def build(name: str, source: str) -> Backbone:
    """Build the backbone whose files lie at `source`.

    Args:
        name: as the user asked for it; of `RECIPES` it chooses one, any other stands for the first.
        source: `hf-hub:datasets/org/name` or `local-dir:/path`.

    Raises:
        UserError: a file is missing, damaged or does not fit; names it.
    """
    place, recipe = locate(source), RECIPES.get(name, BIOMEDCOOP)
    image, text, projection = (place.need(*names) for names in FILES)
    vision, bert = (Part(read_tensors(path), "", path) for path in (image, text))
    vision_cfg, bert_cfg = _vision_config(vision, recipe.heads), bert_config(bert)
    embed_dim = vision.shape("attnpool.c_proj.weight")[0]
    matrix = _read_matrix(projection, (bert_cfg["hidden_size"], embed_dim))
    model_cfg = {"embed_dim": embed_dim, "init_logit_scale": recipe.log_scale, "vision_cfg": vision_cfg}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(bert_cfg), encoding="utf-8")
        files = write_tokenizer(place, recipe.tokenizer, Path(folder))
        tokenizer = hf_tokenizer(folder, files, {"context_length": CONTEXT_LENGTH})
        with building(text):
            model = CustomTextCLIP(**model_cfg, text_cfg=TEXT_CFG | {"hf_model_name": folder})
    model.text.pooler.use_pooler_output = recipe.pooled
    vision.fill(model.visual)
    bert.fill(model.text.transformer)
    model.text.proj.load_state_dict({"weight": matrix.t().contiguous()}, assign=True)
    model.visual.to(memory_format=torch.channels_last)  # convolutions on a CPU are several times as fast
    backbone = HFTextBackbone(model, tokenizer)
    check_tokenizer(backbone, text)
    if not recipe.masked:
        backbone = PaddedTextBackbone(model, tokenizer)
    backbone.name, backbone.revision, backbone.image_input = name, place.revision, OPENAI
    backbone.recipe = json.dumps([recipe, model_cfg, bert_cfg], sort_keys=True)
    backbone.embed_dim = embed_dim
    backbone.logit_scale = model.logit_scale.exp().item()
    tell(
        f"{name} is built as by {recipe.user}: {model.visual.attnpool.num_heads} heads pool an image, a text is "
        f"{'what the pooler makes' if recipe.pooled else 'the last state'} of [CLS], padding is "
        f"{'masked' if recipe.masked else 'seen'}, tokens are those of {files[0]}"
    )
    return backbone.freeze()


def _read_matrix(path: Path, shape: tuple[int, int]) -> Tensor:
    """Return the projection, which leads from the text tower to the joint space; raise a UserError if it does not."""
    found = read_plain(path)
    if not (isinstance(found, Tensor) and tuple(found.shape) == shape):
        words = f"one of {tuple(found.shape)}" if isinstance(found, Tensor) else "something else"
        raise UserError(
            f"Expected a tensor of {shape} in {path}, as the two towers beside it ask for, but it holds {words}: copy "
            "all three files from the same place."
        )
    check_held({"the projection": found}, path)
    return found.detach().float()  # it may be a parameter


def _vision_config(weights: Part, heads: int) -> dict[str, Any]:
    """Return open_clip's configuration of the image tower; `heads` as in `Recipe`."""
    width = weights.shape("conv3.weight")[0]
    layers = [weights.count(rf"layer{i}\.(\d+)\.") for i in (1, 2, 3, 4)]
    head_width = 32 * width // heads if heads else 64
    return {"layers": layers, "width": width, "head_width": head_width, "image_size": OPENAI.size}


def bert_config(weights: Part) -> dict[str, Any]:
    """Return the config.json of the text tower."""
    hidden = weights.shape("embeddings.LayerNorm.weight")[0]
    return read_json(BUNDLED / BERT.rsplit("/", 1)[-1] / "config.json") | {
        "vocab_size": weights.shape("embeddings.word_embeddings.weight")[0],
        "hidden_size": hidden,
        "max_position_embeddings": weights.shape("embeddings.position_embeddings.weight")[0],
        "type_vocab_size": weights.shape("embeddings.token_type_embeddings.weight")[0],
        "num_hidden_layers": weights.count(r"encoder\.layer\.(\d+)\."),
        "num_attention_heads": hidden // 64,
        "intermediate_size": weights.shape("encoder.layer.0.intermediate.dense.weight")[0],
    }


def write_tokenizer(place: Folder, repo: str, folder: Path) -> list[Path]:
    """Write the tokenizer's files into `folder`: those beside the weights, or else those of the hub.

    Returns:
        Paths of the originals, the vocabulary first.

    Raises:
        UserError: there are none; says how to bring them.
    """
    beside = not isinstance(place, HubRepo) and place.find(VOCABULARY)
    there = place if beside else HubRepo(repo)
    if not there.find(VOCABULARY):
        where = "in the hub's cache" if isinstance(place, HubRepo) else f"in {place.path} or the hub's cache"
        raise UserError(
            f"Expected the vocabulary of PMC-CLIP's texts {where}, but it could not be had: on a machine with network "
            f"run `hf download {repo} vocab.txt --local-dir PMC-CLIP`, and copy it into a folder with the three files "
            "of weights, which you give as local-dir:/path/to/PMC-CLIP."
        )
    return write_text_files(there, {"hf_tokenizer_name": repo}, folder)
