"""A small checkout whose code loads weights where its downloads go, as BiomedCoOp's does: of OpenAI's CLIP, of
PubMedCLIP and of PMC-CLIP.
"""

from pathlib import Path

from tests.checkouts import small_checkout

FILES = {
    "clip/clip.py": """
import os
import urllib.request

import torch

_MODELS = {"ViT-B/32": "https://example.org/ViT-B-32.pt"}


def _download(url, root=os.path.expanduser("~/.cache/clip")):
    return urllib.request.urlopen(url)


def load(name):
    path = _download(_MODELS[name])
    try:
        return torch.jit.load(path, map_location="cpu").state_dict()
    except RuntimeError:
        return torch.load(path, map_location="cpu", weights_only=True)
""",
    "trainers/Tiny/downloads.py": """
import os
import urllib.request
from pathlib import Path

import torch
from clip import clip
from dassl.engine import TRAINER_REGISTRY
from trainers.Tiny.tiny import Tiny_PhantomCLIP

BERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"


def weights(name):
    path = os.path.join("clip/checkpoints", name)
    if not os.path.exists(path):
        urllib.request.urlopen("https://example.org/" + name)
    return torch.load(path, weights_only=False)


class Loading(Tiny_PhantomCLIP):
    def build_model(self):
        self.offset = Path("clip/checkpoints/offset.txt").read_text()
        self.loaded = self.load_weights()


@TRAINER_REGISTRY.register()
class Tiny_CLIP(Loading):
    def load_weights(self):
        return clip.load(self.cfg.MODEL.BACKBONE.NAME)


@TRAINER_REGISTRY.register()
class Tiny_PubMedCLIP(Loading):
    def load_weights(self):
        return clip.load("ViT-B/32"), weights("PubMedCLIP_ViT32.pth")["state_dict"]


@TRAINER_REGISTRY.register()
class Tiny_Text(Loading):
    def load_weights(self):
        from transformers import AutoModel

        return AutoModel.from_pretrained(BERT)


@TRAINER_REGISTRY.register()
class Tiny_PMCCLIP(Loading):
    def load_weights(self):
        from transformers import AutoModel, AutoTokenizer

        names = ("image_encoder(resnet50).pth", "text_projection_layer.pth", "text_encoder.pth")
        *files, encoder = map(weights, names)
        text, tokenizer = AutoModel.from_pretrained(BERT), AutoTokenizer.from_pretrained(BERT)
        text.load_state_dict(encoder)
        ids = tokenizer(["a bright mass"], padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
        return text, ids, *files
""",
    "clip/checkpoints/text_encoder.pth": "the checkout's own",
}


def write(folder: Path, **changed: str | None) -> Path:
    """Write the checkout to `folder`, and return `folder`; `changed` as for `small_checkout.write`."""
    train = small_checkout.FILES["train.py"].replace(
        "trainers.Tiny.tiny", "trainers.Tiny.tiny, trainers.Tiny.downloads"
    )
    return small_checkout.write(folder, **{"train": train, **FILES, **changed})
