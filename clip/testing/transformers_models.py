"""Write models in the layout of transformers' CLIPModel and SiglipModel, with random weights."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clip.image_input import OPENAI
from clip.speed.skip_init import SkipInit
from clip.testing.biomedclip import WORDS

# Values as published, but for what both libraries have by default; small ones keep embeddings, texts and images.
PLIP_TEXT: dict[str, Any] = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "eos_token_id": 2}
PLIP_VISION: dict[str, Any] = {"hidden_size": 768, "intermediate_size": 3072, "patch_size": 32, "image_size": 224}
SMALL = {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, "num_hidden_layers": 2}
SO400M = {"hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27}
MEDSIGLIP_VISION = {"image_size": 448, "patch_size": 14}
CONTROL, UNKNOWN, NORMAL = 3, 2, 1  # types of sentencepiece's pieces
SEVERAL = ("▁men", "ing", "ioma", "▁gli", "oma", "▁pit", "uit", "ary")  # so that some words have several tokens


def draw_weights(model: nn.Module, seed: int = 0) -> None:
    """Draw weights of such sizes that attention is far from uniform and every part of the model is seen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(generator=generator)
            if name == "logit_scale":
                weight.fill_(4.5)
            elif weight.ndim > 1 and "embedding" not in name and "probe" not in name:
                seen = any(part in name for part in ("q_proj", "k_proj", "in_proj", "qkv"))
                weight.mul_((3.0 if seen else 1.0) / (weight[0].numel() ** 0.5))
            else:
                weight.mul_(0.1 if weight.ndim == 1 and "class_embedding" not in name else 1.0)
                weight.add_(float(weight.ndim == 1 and name.endswith(".weight")))  # of a layer norm


def write_clip_model(folder: str | Path, small: bool = False, old: bool = True, seed: int = 0, **changes: Any) -> Path:
    """Write a CLIPModel as PLIP was published, with the vocabulary of OpenAI's CLIP; return the folder.

    Args:
        folder: is made.
        small: with few and narrow layers.
        old: as before 2023: positions among the weights, which are pickled, and an end-of-text id of 2.
        seed: of the weights.
        changes: replace parts of its configuration, by the names text_config, vision_config and projection_dim.
    """
    from transformers import CLIPConfig, CLIPModel

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text, vision = (part | (SMALL if small else {}) for part in (PLIP_TEXT, PLIP_VISION))
    text["eos_token_id"] = 2 if old else 49407
    text |= changes.pop("text_config", {})
    vision |= changes.pop("vision_config", {})
    with SkipInit():
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, **changes))
    draw_weights(model, seed)
    model.eval().save_pretrained(folder)
    if old:
        (folder / "model.safetensors").unlink()
        positions = {
            f"{name}.embeddings.position_ids": tower.embeddings.position_ids
            for name, tower in (("text_model", model.text_model), ("vision_model", model.vision_model))
        }
        torch.save(model.state_dict() | positions, folder / "pytorch_model.bin")
        config = json.loads((folder / "config.json").read_text())
        config |= {"text_config_dict": None, "vision_config_dict": None, "torch_dtype": "float32"}
        (folder / "config.json").write_text(json.dumps(config))
    write_openai_vocabulary(folder)
    side = vision["image_size"]
    size = {"size": side, "crop_size": side} if old else {"size": {"shortest_edge": side}, "crop_size": _square(side)}
    steps = {"do_resize": True, "do_center_crop": True, "do_normalize": True, "resample": 3}
    _write_processor(folder, {"feature_extractor_type": "CLIPFeatureExtractor"}, OPENAI.mean, OPENAI.std, steps | size)
    return folder


def write_openai_vocabulary(folder: Path) -> None:
    """Write the vocabulary of OpenAI's CLIP as transformers has it."""
    from open_clip.tokenizer import SimpleTokenizer

    ours = SimpleTokenizer()
    marks = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    (folder / "vocab.json").write_text(json.dumps({marks.get(word, word): n for word, n in ours.encoder.items()}))
    merges = [" ".join(pair) for pair in sorted(ours.bpe_ranks, key=ours.bpe_ranks.__getitem__)]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    end = dict.fromkeys(("eos_token", "pad_token", "unk_token"), "<|endoftext|>")
    config = {"tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", "model_max_length": 77, **end}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_siglip_model(
    folder: str | Path, small: bool = False, vocabulary: str = "spiece.model", seed: int = 0, **changes: Any
) -> Path:
    """Write a SiglipModel of the shapes of MedSigLIP; return the folder.

    Args:
        folder: is made.
        small: with few and narrow layers, and larger patches.
        vocabulary: "spiece.model", as most models of this kind have, or "tokenizer.json".
        seed: of the weights.
        changes: replace parts of its configuration, by the names text_config and vision_config.
    """
    from transformers import SiglipConfig, SiglipModel

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shapes = SMALL if small else SO400M
    text = shapes | changes.pop("text_config", {})
    vision = shapes | MEDSIGLIP_VISION | ({"patch_size": 64} if small else {}) | changes.pop("vision_config", {})
    with SkipInit():
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    draw_weights(model, seed)
    model.eval().save_pretrained(folder)
    config = {"architectures": ["SiglipModel"], "model_type": "siglip", "initializer_factor": 1.0}
    config |= {"text_config": text, "vision_config": vision, "transformers_version": "4.50.0"}  # without defaults
    (folder / "config.json").write_text(json.dumps(config))
    write_siglip_vocabulary(folder, vocabulary)
    steps = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255, "resample": 3}
    size = {"do_convert_rgb": None, "size": _square(vision["image_size"])}
    kind = {"image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor"}
    _write_processor(folder, kind, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), steps | size)
    return folder


def _square(side: int) -> dict[str, int]:
    """Return a size as newer files of image processors have it."""
    return {"height": side, "width": side}


def _write_processor(folder: Path, kind: dict[str, str], mean: tuple, std: tuple, steps: dict[str, Any]) -> None:
    """Write a preprocessor_config.json."""
    content = {**kind, "image_mean": list(mean), "image_std": list(std), **steps}
    (folder / "preprocessor_config.json").write_text(json.dumps(content, indent=2))


def siglip_pieces() -> list[tuple[str, float, int]]:
    """Return a vocabulary of 32,000 pieces with scores and types, of which single letters and some words can occur."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = [f"▁{word}" for word in dict.fromkeys(WORDS.split()) if word not in ("glioma", "meningioma", "pituitary")]
    pieces = [("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN)]
    pieces += [(word, -5.0 - 0.01 * i, NORMAL) for i, word in enumerate(dict.fromkeys([*words, *SEVERAL, "s", "▁"]))]
    known = {word for word, _, _ in pieces}
    pieces += [(letter, -12.0 - 0.01 * i, NORMAL) for i, letter in enumerate(letters) if letter not in known]
    return [*pieces, *((f"filler{i}", -20.0, NORMAL) for i in range(32_000 - len(pieces)))]


def write_siglip_vocabulary(folder: Path, name: str) -> None:
    """Write a vocabulary as "spiece.model" or "tokenizer.json", and the tokenizer_config.json of SigLIP."""
    pieces = siglip_pieces()
    if name == "spiece.model":
        content = b"".join(_piece(*piece) for piece in pieces) + _field(2, _number(3, 1))  # a unigram model
        (folder / name).write_bytes(content)
    else:
        _unigram(pieces).save(str(folder / name))
    marks = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    config = {"tokenizer_class": "SiglipTokenizer", "do_lower_case": True, "model_max_length": 64, **marks}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _unigram(pieces: list[tuple[str, float, int]]):
    """Return a tokenizer as transformers converts one of sentencepiece."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram([(word, score) for word, score, _ in pieces], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word, _, kind in pieces if kind != NORMAL])
    return tokenizer


def _piece(word: str, score: float, kind: int) -> bytes:
    """Return a piece in the format of sentencepiece; the type of ordinary ones is left out, as it is the default."""
    score_field = bytes([2 << 3 | 5]) + struct.pack("<f", score)
    return _field(1, _field(1, word.encode()) + score_field + (_number(3, kind) if kind != NORMAL else b""))


def _field(number: int, content: bytes) -> bytes:
    """Return a field of bytes in the format of protocol buffers."""
    return bytes([number << 3 | 2, *_varint(len(content))]) + content


def _number(number: int, value: int) -> bytes:
    """Return a field of a whole number in the format of protocol buffers."""
    return bytes([number << 3, *_varint(value)])


def _varint(value: int) -> Iterator[int]:
    """Yield the bytes of a number of variable length."""
    while value >= 128:
        yield value & 127 | 128
        value >>= 7
    yield value


WRITERS = {"PLIP": write_clip_model, "MedSigLIP": write_siglip_model}
