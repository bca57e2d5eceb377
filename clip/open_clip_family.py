"""Any model that open_clip can build: BiomedCLIP, OpenAI's CLIP, PhantomCLIP, `hf-hub:...`, `local-dir:...`."""

import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from clip.backbone import Backbone, Tokens
from clip.files import WEIGHTS, locate
from clip.received import model_config, write_text_files
from clip.unwritten import Unwritten
from dassl.errors import UserError
from dassl.reading import read_json
from dassl.utils.tensor_files import unreadable

# What reading a file of weights raises that is damaged, or that holds something else.
FOUND_DAMAGED = (RuntimeError, EOFError, UnpicklingError, SafetensorError, AttributeError, StopIteration)


def build(name: str, source: str) -> Backbone:
    """The backbone whose files lie at `source` (`hf-hub:org/model` or `local-dir:/path`).

    Raises:
        UserError: names the missing file, where it was looked for, and how to bring it.
        UserError: weights that do not fit the configuration, or a configuration that is not read here.
    """
    place = locate(source)
    path = place.need("open_clip_config.json")
    model_cfg, preprocess = model_config(path)
    text_cfg = model_cfg["text_cfg"]
    if not text_cfg.get("hf_model_name"):
        check_causal(text_cfg, path)
    with tempfile.TemporaryDirectory() as folder:
        files = write_text_files(place, text_cfg, Path(folder))
        tokenizer = _tokenizer(folder, files, text_cfg)
        model = _model(folder, model_cfg, path)
    family = HFTextBackbone if text_cfg.get("hf_model_name") else CausalTextBackbone
    backbone: Backbone = family(model, tokenizer)
    check_words(backbone, path)
    _load(model, place.need(*WEIGHTS))
    model.visual.to(memory_format=torch.channels_last)  # convolutions on a CPU run several times as fast
    size = model.visual.image_size
    backbone.name = name
    backbone.revision = place.revision
    backbone.embed_dim = model_cfg["embed_dim"]
    backbone.image_size = size[0] if isinstance(size, (tuple, list)) else size
    backbone.mean = tuple(preprocess.get("mean") or (0.48145466, 0.4578275, 0.40821073))
    backbone.std = tuple(preprocess.get("std") or (0.26862954, 0.26130258, 0.27577711))
    backbone.interpolation = preprocess.get("interpolation") or "bicubic"
    backbone.logit_scale = model.logit_scale.exp().item()
    return backbone.freeze()


def _model(folder: str, model_cfg: Mapping[str, Any], path: Path) -> nn.Module:
    """The model that `model_cfg`, read from `path`, and the text tower's config.json in `folder` describe; its
    parameters are not filled.

    Raises:
        UserError: open_clip cannot build it; says why not.
    """
    from open_clip.model import CLIP, CustomTextCLIP

    options = {key: value for key, value in model_cfg.items() if key != "custom_text"}
    text_cfg = dict(model_cfg["text_cfg"], output_tokens=False)  # one feature for a text, not one for each token too
    vision_cfg = dict(model_cfg["vision_cfg"], output_tokens=False)
    if hugging_face := bool(text_cfg.get("hf_model_name")):
        text_cfg["hf_model_name"] = folder
    custom = hugging_face or model_cfg.get("custom_text")
    try:
        with Unwritten():
            return (CustomTextCLIP if custom else CLIP)(**options | {"text_cfg": text_cfg, "vision_cfg": vision_cfg})
    except Exception as error:  # whatever numbers that do not go together lead to
        words = _words(error)
        raise UserError(
            f"Expected {path} to describe a model that open_clip builds, but: {words}: copy the file from the model's "
            "page on the hub."
        ) from error


def _words(error: Exception) -> str:
    """What another library says, on one line."""
    return " ".join(str(error).split())[:600].rstrip(". ") or type(error).__name__


def _load(model: nn.Module, path: Path) -> None:
    """Load all weights, no more and no less (open_clip drops the one buffer that newer transformers do not have).

    The model takes the tensors of the mapped file for its own instead of copying them: memory holds the weights once.

    Raises:
        UserError: the file is damaged, holds something else, or does not fit; names it.
    """
    from open_clip.factory import load_checkpoint

    model.load_state_dict = partial(type(model).load_state_dict, model, assign=True)  # open_clip calls it
    try:
        with _mapped(path):
            load_checkpoint(model, str(path), strict=True, weights_only=True, device="cpu")
    except FOUND_DAMAGED as error:
        if "loading state_dict" in str(error):
            raise UserError(
                f"Expected the weights of {path} to fit open_clip_config.json beside it, but: {_words(error)}."
            ) from error
        raise unreadable(path, error) from error
    finally:
        del model.load_state_dict
    model.float()  # some are stored in half precision


def check_tensors(path: Path) -> None:
    """Raise a UserError if a file of `torch.save` holds anything but tensors; it can then be read by code that would
    unpickle objects too.
    """
    try:
        with _mapped(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an archive of code, which is refused
            torch.load(path, map_location="cpu", weights_only=True)
    except FOUND_DAMAGED as error:
        raise unreadable(path, error) from error


def _mapped(path: Path) -> AbstractContextManager:
    """`torch.load` maps the file, as safetensors does anyway, if this PyTorch can be told so and the file allows it."""
    config = getattr(getattr(torch.utils, "serialization", None), "config", None)
    return config.patch({"load.mmap": True}) if config and zipfile.is_zipfile(path) else nullcontext()


def _tokenizer(folder: str, files: Sequence[Path], text_cfg: Mapping[str, Any]) -> Callable:
    """The tokenizer in `folder`, whose files came from `files`; or that of OpenAI's CLIP, where there are none."""
    from open_clip import SimpleTokenizer
    from open_clip.tokenizer import HFTokenizer

    length, asked = text_cfg.get("context_length") or 77, text_cfg.get("tokenizer_kwargs") or {}
    if not files:
        return SimpleTokenizer(context_length=length, **{key: asked[key] for key in asked if key == "clean"})
    asked = {"tokenizer_mode": text_cfg.get("tokenizer_mode")} | asked
    with _tokenizer_of(files):
        return HFTokenizer(folder, context_length=length, local_files_only=True, trust_remote_code=False, **asked)


@contextmanager
def _tokenizer_of(files: Sequence[Path]) -> Iterator[None]:
    """Name the file that is damaged if what is done within cannot read a tokenizer that came from `files`."""
    try:
        yield
    except Exception as error:  # each tokenizer's own, often a bare Exception
        for path in files:
            if path.suffix == ".json":
                read_json(path)
        raise UserError(
            f"Expected a tokenizer in {files[0].parent}, but {files[0].name} cannot be read "
            f"({_words(error)}): copy or download it again."
        ) from error


def check_causal(text_cfg: Mapping[str, Any], path: Path) -> None:
    """Raise a UserError unless a text is read out at its end, and what stands behind that is never seen."""
    pool = text_cfg.get("pool_type") or "argmax"
    if pool not in ("argmax", "eos") or text_cfg.get("no_causal_mask") or text_cfg.get("embed_cls"):
        raise UserError(
            f'Expected a causal text tower that is read out at its end-of-text token ("argmax" or "eos") in {path}, '
            f'but this one pools by "{pool}" or sees both ways: choose another model.'
        )


def check_words(backbone: "OpenCLIPBackbone", path: Path) -> None:
    """Raise a UserError unless the tokenizer is that of the model: each word has an embedding, and a text one token
    before it and one behind it, between which learned context goes.
    """
    known, embeddings = backbone.words(), backbone.embeddings.num_embeddings
    if max(known) >= embeddings:
        raise UserError(
            f"Expected a tokenizer of at most {embeddings} words, as {path} describes the text tower, but it has "
            f"{max(known) + 1}: put the tokenizer of this model beside it, and name it by hf_tokenizer_name."
        )
    tokens = backbone.tokenize([""])
    if backbone.end_is_highest and tokens.ids[0, -1] != max(known):
        raise UserError(
            f"Expected the end-of-text token to have the highest id, as {path} asks for by pool_type, but it is "
            f"{int(tokens.ids[0, -1])} of {max(known)}: give pool_type eos and eos_id there, if it was trained so."
        )
    if tokens.ids.shape != (1, 2) or not tokens.mask.all():
        raise UserError(
            f"Expected the tokenizer that {path} asks for to put one token before a text and one behind it, but of an "
            f"empty text it makes {tokens.ids[0].tolist()[:8]}: prompts cannot be learned with it."
        )


class OpenCLIPBackbone(Backbone):
    """What both kinds of text tower share."""

    def __init__(self, model: nn.Module, tokenizer):
        super().__init__()
        self.model, self.tokenizer, self.end_is_highest = model, tokenizer, False
        self.context_length = tokenizer.context_length

    @property
    def embeddings(self) -> nn.Embedding:
        """One for each word of the vocabulary."""
        raise NotImplementedError

    def words(self) -> dict[int, str]:
        """The vocabulary by its ids."""
        inner = getattr(self.tokenizer, "tokenizer", None)
        found = inner.get_vocab() if inner is not None else self.tokenizer.encoder
        return {number: word for word, number in found.items()}

    def special_ids(self) -> set[int]:
        """Of what is no word: marks of beginning and end, padding, places that were never used."""
        marks = getattr(self.tokenizer, "tokenizer", self.tokenizer).all_special_ids
        return {*marks, *(number for number, word in self.words().items() if word.startswith("[unused"))}

    def pool_image(self, images: Tensor) -> Tensor:
        return self.model.encode_image(images.to(memory_format=torch.channels_last))


class HFTextBackbone(OpenCLIPBackbone):
    """A text tower of transformers' (BERT and the like): padding is masked, so that leaving it out changes nothing."""

    def __init__(self, model: nn.Module, tokenizer):
        super().__init__(model, tokenizer)
        self.text = model.text
        self.token_dim = self.embeddings.embedding_dim
        self.pad_id = self.text.config.pad_token_id

    @property
    def embeddings(self) -> nn.Embedding:
        return self.text.transformer.get_input_embeddings()

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        ids = self.tokenizer(list(texts)).to(self.device)
        mask = ids != self.pad_id
        length = int(mask.sum(dim=1).max())
        return Tokens(ids[:, :length], mask[:, :length])

    def embed(self, ids: Tensor) -> Tensor:
        return self.embeddings(ids)

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        mask = tokens.mask.long()
        out = self.text.transformer(inputs_embeds=embeddings, attention_mask=mask)
        return self.text.proj(self.text.pooler(out, mask))

    def project(self, embeddings: Tensor) -> Tensor:
        return self.text.proj(embeddings)

    def vocabulary_ids(self) -> Tensor:
        left_out, weight = self.special_ids(), self.embeddings.weight
        trained = weight.any(dim=1).nonzero().flatten()  # zeros stand for a word piece that training never met
        return torch.tensor([i for i in trained.tolist() if i not in left_out])


class CausalTextBackbone(OpenCLIPBackbone):
    """open_clip's own text tower, read out at the end-of-text token: nothing after it is seen."""

    def __init__(self, model: nn.Module, tokenizer):
        super().__init__(model, tokenizer)
        self.text = getattr(model, "text", model)
        self.token_dim = self.embeddings.embedding_dim
        pool = getattr(self.text, "text_pool_type", getattr(self.text, "pool_type", "argmax"))
        ends = getattr(self.text, "text_eos_id", getattr(self.text, "eos_id", None))
        self.end_id, self.end_is_highest = (ends, False) if pool == "eos" else (None, True)

    @property
    def embeddings(self) -> nn.Embedding:
        return self.text.token_embedding

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        ids = self.tokenizer(list(texts)).to(self.device)
        marks = ids if self.end_is_highest else (ids == self.end_id).int()
        lengths = marks.argmax(dim=1) + 1
        ids = ids[:, : int(lengths.max())]
        return Tokens(ids, torch.arange(ids.shape[1], device=ids.device) < lengths[:, None])

    def embed(self, ids: Tensor) -> Tensor:
        return self.embeddings(ids)

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        length = embeddings.shape[1]
        x = embeddings + self.text.positional_embedding[:length]
        x = self.text.ln_final(self.text.transformer(x, attn_mask=self.text.attn_mask[:length, :length]))
        end = tokens.mask.sum(dim=1) - 1
        return self.project(x[torch.arange(len(x), device=x.device), end])

    def project(self, embeddings: Tensor) -> Tensor:
        projection = self.text.text_projection
        if projection is None:
            return embeddings
        return projection(embeddings) if isinstance(projection, nn.Module) else embeddings @ projection

    def vocabulary_ids(self) -> Tensor:
        special = self.special_ids()
        return torch.tensor([i for i in sorted(self.words()) if i not in special])
