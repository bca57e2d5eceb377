"""Write BiomedCLIP's exact architecture, or a small one of its kind, with random weights."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clip.sanitize import BUNDLED
from clip.speed.skip_init import SkipInit

HUB = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
BERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
PARAMETERS = 195_900_000  # of BiomedCLIP as published, to four digits
SMALL = {"vision": "vit_tiny_patch16_224", "layers": 1}  # BERT keeps its width, and checkpoints keep their size
WORDS = (
    "a photo of the an image showing glioma meningioma pituitary tumor normal brain lung lungs kidney mass bright dark"
)
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 512,
        "vision_cfg": {
            "timm_model_name": "vit_base_patch16_224",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 224,
        },
        "text_cfg": {
            "hf_model_name": BERT,
            "hf_tokenizer_name": BERT,
            "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler",
            "context_length": 256,
        },
    },
    "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
}


def bert_config() -> dict[str, Any]:
    """Return BiomedBERT's config.json: BERT-base with a vocabulary of its own."""
    return json.loads((BUNDLED / BERT.rsplit("/", 1)[-1] / "config.json").read_text())


def write_config(folder: Path, config: dict[str, Any] = CONFIG) -> None:
    """Write an open_clip_config.json, by default BiomedCLIP's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def pieces(singles: str) -> list[str]:
    """Return characters, and pieces of two and three letters, so that texts have about as many tokens as usual."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    several = [a + b + c for a in alphabet for b in alphabet for c in ("", *alphabet) if {a, b, c} & set("aeiouy")]
    return [*singles, *several]


def write_tokenizer(folder: Path) -> None:
    """Write a WordPiece vocabulary of 30,522 entries: some words, and pieces of one to three letters."""
    found = pieces("abcdefghijklmnopqrstuvwxyz0123456789.,;:-()/%")
    words = ["[PAD]", "[unused1]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *found, *(f"##{piece}" for piece in found)]
    words += [w for w in dict.fromkeys(WORDS.split()) if w not in words]
    words += [f"##filler{i}" for i in range(30_522 - len(words))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512})
    )


def random_weights(config: dict[str, Any], bert: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return random weights of seed 0 under the names of open_clip.

    Args:
        config: the open_clip_config.json.
        bert: the config.json of the text tower.
    """
    from open_clip.model import CustomTextCLIP

    cfg = json.loads(json.dumps(config["model_cfg"]))
    with tempfile.TemporaryDirectory() as text, SkipInit():  # open_clip's own initial values take seconds
        (Path(text) / "config.json").write_text(json.dumps(bert))
        cfg["text_cfg"] |= {"hf_model_name": text, "hf_model_pretrained": False}
        model = CustomTextCLIP(**cfg)
    torch.manual_seed(0)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)
            else:
                nn.init.constant_(parameter, float(name == "weight"))  # of a layer norm; else a bias
    model.logit_scale.data.fill_(4.4454)
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def write_biomedclip(folder: str | Path, small: bool = False) -> Path:
    """Write a folder as `hf download` does: weights, configuration and tokenizer, but no config.json of BERT.

    Args:
        folder: is returned, as a path.
        small: a vision tower of 6 million parameters and a text tower of one layer, which needs a config.json.
    """
    from safetensors.torch import save_file

    folder, config, bert = Path(folder), json.loads(json.dumps(CONFIG)), bert_config()
    if small:
        config["model_cfg"]["vision_cfg"]["timm_model_name"] = SMALL["vision"]
        bert["num_hidden_layers"] = SMALL["layers"]
    write_config(folder, config)
    write_tokenizer(folder)
    if small:
        (folder / "config.json").write_text(json.dumps(bert))
    save_file(random_weights(config, bert), folder / "open_clip_model.safetensors")
    return folder


def write_hub_cache(hf_home: str | Path, weights: dict[str, torch.Tensor] | None = None) -> Path:
    """Write `<HF_HOME>/hub` as huggingface_hub does, with the repositories of BiomedCLIP and its tokenizer.

    Args:
        hf_home: is returned, as a path.
        weights: for the .bin file; random by default.
    """
    snapshots = {}
    for repo in (HUB, BERT):
        root = Path(hf_home) / "hub" / f"models--{repo.replace('/', '--')}"
        snapshots[repo] = root / "snapshots" / ("0" * 40)
        snapshots[repo].mkdir(parents=True, exist_ok=True)
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text("0" * 40)
    write_config(snapshots[HUB])
    torch.save(weights or random_weights(CONFIG, bert_config()), snapshots[HUB] / "open_clip_pytorch_model.bin")
    write_tokenizer(snapshots[BERT])
    (snapshots[BERT] / "config.json").write_text(json.dumps(bert_config()))
    return Path(hf_home)


WRITERS = {"BiomedCLIP": write_biomedclip}
