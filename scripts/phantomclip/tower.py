"""PhantomCLIP's architecture as open_clip reads it, and its folder on disk.

open_clip builds both small towers by itself: its modified ResNet for small images, and a BERT of two layers.
"""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from safetensors import torch as tensors
from transformers import BertConfig

from dassl.reading import read_json
from dassl.writing import atomic_write

FOLDER, WEIGHTS = Path("clip/phantomclip"), "open_clip_model.safetensors"
IMAGE_SIZE, CONTEXT_LENGTH = 96, 77
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

OPEN_CLIP_CONFIG = {
    "model_cfg": {
        "embed_dim": 256,
        "vision_cfg": {"image_size": IMAGE_SIZE, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
        "text_cfg": {
            "hf_model_name": FOLDER.as_posix(),
            "hf_tokenizer_name": FOLDER.as_posix(),
            "hf_model_pretrained": False,
            "hf_proj_type": "linear",
            "hf_pooler_type": "mean_pooler",
            "context_length": CONTEXT_LENGTH,
        },
    },
    "preprocess_cfg": {
        "size": IMAGE_SIZE,
        "mean": MEAN,
        "std": STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}


def write_configs(folder: Path, vocab_size: int) -> None:
    """Write the two configuration files that describe the towers."""
    config = json.loads(json.dumps(OPEN_CLIP_CONFIG))
    for key in ("hf_model_name", "hf_tokenizer_name"):
        config["model_cfg"]["text_cfg"][key] = folder.as_posix()
    with atomic_write(folder / "open_clip_config.json") as file:
        file.write(json.dumps(config, indent=2) + "\n")
    text_config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=192,
        num_hidden_layers=2,
        num_attention_heads=6,
        intermediate_size=768,
        max_position_embeddings=CONTEXT_LENGTH,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        architectures=["BertModel"],
    )
    with atomic_write(folder / "config.json") as file:
        file.write(text_config.to_json_string())


def new_model(folder: Path) -> torch.nn.Module:
    """Return an untrained PhantomCLIP of the architecture that the folder describes."""
    return open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_hf=False)


def install(work: Path, folder: Path) -> None:
    """Copy a trained model from the folder it was made in to the folder it is used from, weights last."""
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", WEIGHTS):
        with atomic_write(folder / name, "wb") as file:
            file.write((work / name).read_bytes())
    write_configs(folder, read_json(work / "config.json")["vocab_size"])


def save_weights(folder: Path, model: torch.nn.Module) -> None:
    """Write the weights in half precision."""
    half = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    with atomic_write(folder / WEIGHTS, "wb") as file:
        file.write(tensors.save(half, metadata={"format": "pt"}))
