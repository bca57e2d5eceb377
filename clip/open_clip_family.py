"""Any model that open_clip can build: BiomedCLIP, OpenAI's CLIP, PhantomCLIP, `hf-hub:...`, `local-dir:...`."""

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from clip.backbone import Backbone, Tokens
from clip.files import TOKENIZER, WEIGHTS, Folder, HubRepo, locate
from clip.unwritten import Unwritten
from dassl.errors import UserError
from dassl.utils import read_json
from dassl.utils.tensor_files import is_lfs_pointer, unreadable

# Text configurations that belong to well-known models, for folders that were copied without them.
BUNDLED = Path(__file__).parent / "text_configs"
TOKENIZER_SETTINGS = re.compile(r"(tokenizer_config|special_tokens_map|added_tokens)\.json|merges\.txt")
# What reading a file of weights raises that is damaged, or that holds something else.
FOUND_DAMAGED = (RuntimeError, EOFError, UnpicklingError, SafetensorError, AttributeError, StopIteration)


def build(name: str, source: str) -> Backbone:
    """The backbone whose files lie at `source` (`hf-hub:org/model` or `local-dir:/path`).

    Raises:
        UserError: names the missing file, where it was looked for, and how to bring it.
        UserError: weights that do not fit the configuration.
    """
    from open_clip.model import CLIP, CustomTextCLIP

    place = locate(source)
    model_cfg, preprocess = _config(place.need("open_clip_config.json"))
    text_cfg = model_cfg["text_cfg"]
    if "hf_model_name" in text_cfg:
        text_place = _text_place(place, text_cfg["hf_model_name"])
        tokenizer = _hf_tokenizer(place, text_place, text_cfg)
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(text_config(text_place, text_cfg["hf_model_name"]), Path(folder) / "config.json")
            text_cfg |= {"hf_model_name": folder, "hf_model_pretrained": False}
            model_cfg["vision_cfg"] |= (
                {"timm_model_pretrained": False} if "timm_model_name" in model_cfg["vision_cfg"] else {}
            )
            model_cfg.pop("custom_text", None)
            with Unwritten():
                model = CustomTextCLIP(**model_cfg)
        backbone: Backbone = HFTextBackbone(model, tokenizer)
    else:
        from open_clip import SimpleTokenizer

        custom = model_cfg.pop("custom_text", False)
        with Unwritten():
            model = (CustomTextCLIP if custom else CLIP)(**model_cfg)
        backbone = CausalTextBackbone(model, SimpleTokenizer(context_length=text_cfg.get("context_length", 77)))
    _load(model, place.need(*WEIGHTS))
    model.visual.to(memory_format=torch.channels_last)  # convolutions on a CPU run several times as fast
    size = model.visual.image_size
    backbone.name = name
    backbone.embed_dim = model_cfg["embed_dim"]
    backbone.image_size = size[0] if isinstance(size, (tuple, list)) else size
    backbone.mean = tuple(preprocess.get("mean", (0.48145466, 0.4578275, 0.40821073)))
    backbone.std = tuple(preprocess.get("std", (0.26862954, 0.26130258, 0.27577711)))
    backbone.interpolation = preprocess.get("interpolation", "bicubic")
    backbone.logit_scale = model.logit_scale.exp().item()
    return backbone.freeze()


def _config(path: Path) -> tuple[dict, dict]:
    """The model's and the preprocessing's part of an open_clip_config.json."""
    config = read_json(path)
    try:
        return config["model_cfg"] | {"text_cfg": config["model_cfg"]["text_cfg"]}, config.get("preprocess_cfg", {})
    except (KeyError, TypeError) as error:
        raise UserError(
            f"Expected model_cfg and text_cfg in {path}, but it lacks one: copy it from the model's page on the hub."
        ) from error


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
                f"Expected the weights of {path} to fit open_clip_config.json beside it, but: {error}"
            ) from error
        raise unreadable(path, error) from error
    finally:
        del model.load_state_dict
    model.float()  # some are stored in half precision


def _mapped(path: Path) -> AbstractContextManager:
    """`torch.load` maps the file, as safetensors does anyway, if this PyTorch can be told so and the file allows it."""
    config = getattr(getattr(torch.utils, "serialization", None), "config", None)
    return config.patch({"load.mmap": True}) if config and zipfile.is_zipfile(path) else nullcontext()


def _text_place(place: Folder, hf_name: str) -> Folder:
    """Where the text tower's own repository is: for a folder, the folder itself."""
    return HubRepo(hf_name) if isinstance(place, HubRepo) else place


def text_config(place: Folder, hf_name: str) -> Path:
    """The text tower's config.json: in its place, or bundled with us for models known to be copied without it."""
    bundled = BUNDLED / hf_name.rsplit("/", 1)[-1] / "config.json"
    found = place.find(["config.json"])
    if found is not None and "model_type" in read_json(found):
        return found
    return bundled if bundled.is_file() else place.need("config.json")


def _hf_tokenizer(place: Folder, text_place: Folder, text_cfg: dict):
    """open_clip's wrapper of the tokenizer: beside the text tower's config, or beside the weights."""
    from open_clip.tokenizer import HFTokenizer

    found = place.find(TOKENIZER) if not isinstance(place, HubRepo) else None
    found = found or text_place.find(TOKENIZER) or place.need(*TOKENIZER)
    if isinstance(text_place, HubRepo):
        text_place.find(["tokenizer_config.json"])  # brings it into the cache if there is network
    with _tokenizer_of(found):
        return HFTokenizer(
            str(found.parent),
            context_length=text_cfg.get("context_length", 77),
            local_files_only=True,
            **text_cfg.get("hf_tokenizer_kwargs", text_cfg.get("tokenizer_kwargs", {})),
        )


@contextmanager
def _tokenizer_of(found: Path) -> Iterator[None]:
    """Name the file that is damaged if what is done within cannot read a tokenizer's folder."""
    files = [path for path in found.parent.iterdir() if path.name in TOKENIZER or TOKENIZER_SETTINGS.match(path.name)]
    for path in files:
        if is_lfs_pointer(path):
            raise unreadable(path, EOFError(), "a tokenizer")
    try:
        yield
    except Exception as error:  # each tokenizer's own, often a bare Exception
        for path in files:
            if path.suffix == ".json":
                read_json(path)
        raise UserError(
            f"Expected a tokenizer in {found.parent}, but {found.name} cannot be read ({error}): copy or download it "
            "again."
        ) from error


class OpenCLIPBackbone(Backbone):
    """What both kinds of text tower share."""

    def __init__(self, model: nn.Module, tokenizer):
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self.context_length = tokenizer.context_length

    def pool_image(self, images: Tensor) -> Tensor:
        return self.model.encode_image(images.to(memory_format=torch.channels_last))


class HFTextBackbone(OpenCLIPBackbone):
    """A text tower of transformers' (BERT and the like): padding is masked, so that leaving it out changes nothing."""

    def __init__(self, model: nn.Module, tokenizer):
        super().__init__(model, tokenizer)
        self.text = model.text
        self.token_dim = self.text.transformer.get_input_embeddings().embedding_dim
        self.pad_id = self.text.config.pad_token_id

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        ids = self.tokenizer(list(texts)).to(self.device)
        mask = ids != self.pad_id
        length = int(mask.sum(dim=1).max())
        return Tokens(ids[:, :length], mask[:, :length])

    def embed(self, ids: Tensor) -> Tensor:
        return self.text.transformer.get_input_embeddings()(ids)

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        mask = tokens.mask.long()
        out = self.text.transformer(inputs_embeds=embeddings, attention_mask=mask)
        return self.text.proj(self.text.pooler(out, mask))

    def project(self, embeddings: Tensor) -> Tensor:
        return self.text.proj(embeddings)

    def vocabulary_ids(self) -> Tensor:
        tokenizer = self.tokenizer.tokenizer
        left_out = set(tokenizer.all_special_ids)
        left_out |= {i for word, i in tokenizer.get_vocab().items() if word.startswith("[unused")}
        weight = self.text.transformer.get_input_embeddings().weight
        trained = weight.any(dim=1).nonzero().flatten()  # zeros stand for a word piece that training never met
        return torch.tensor([i for i in trained.tolist() if i not in left_out])


class CausalTextBackbone(OpenCLIPBackbone):
    """open_clip's own text tower, read out at the end-of-text token: nothing after it is seen."""

    def __init__(self, model: nn.Module, tokenizer):
        super().__init__(model, tokenizer)
        self.text = getattr(model, "text", model)
        pool = getattr(self.text, "text_pool_type", getattr(self.text, "pool_type", "argmax"))
        if pool not in ("argmax", "eos") or self.text.attn_mask is None:
            raise UserError(
                f'Expected a causal text tower that is read out at its end-of-text token ("argmax" or "eos"), but this '
                f'one pools by "{pool}".'
            )
        self.token_dim = self.text.token_embedding.embedding_dim

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        ids = self.tokenizer(list(texts)).to(self.device)
        lengths = ids.argmax(dim=1) + 1  # the end-of-text token has the highest id
        ids = ids[:, : int(lengths.max())]
        return Tokens(ids, torch.arange(ids.shape[1], device=ids.device) < lengths[:, None])

    def embed(self, ids: Tensor) -> Tensor:
        return self.text.token_embedding(ids)

    def pool_tokens(self, embeddings: Tensor, tokens: Tokens) -> Tensor:
        length = embeddings.shape[1]
        x = embeddings + self.text.positional_embedding[:length]
        x = self.text.ln_final(self.text.transformer(x, attn_mask=self.text.attn_mask[:length, :length]))
        end = tokens.mask.sum(dim=1) - 1
        return self.project(x[torch.arange(len(x), device=x.device), end])

    def project(self, embeddings: Tensor) -> Tensor:
        projection = self.text.text_projection
        return projection(embeddings) if isinstance(projection, nn.Module) else embeddings @ projection

    def vocabulary_ids(self) -> Tensor:
        special = {self.tokenizer.sot_token_id, self.tokenizer.eot_token_id}
        return torch.tensor([i for i in range(self.text.token_embedding.num_embeddings) if i not in special])
