"""Write the models that open_clip builds in the layouts in which they were published, with random weights.

With `small`, an open_clip_config.json of few and narrow layers lies beside the weights, whatever was published: it wins
over the configuration that the name of the weights stands for, and everything else is as in the published files.
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clip.families.open_clip_models import NAMES
from clip.families.open_clip_models.published import CONFIG, CONFIGS, PUBLISHED
from clip.testing.biomedclip import CONFIG as BIOMEDCLIP
from clip.testing.biomedclip import bert_config, write_tokenizer

OLD_BERT = "microsoft/BiomedNLP-PubMedBERT-base-uncased-abstract"  # BiomedBERT's name in older configurations
SMALL_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 2}
SMALL_VIT = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 8}
SMALL_RN = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
SMALL_BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
GAIN = 8.0  # of queries and keys, so that attention is far from uniform


def bundled(name: str) -> dict[str, Any]:
    """Return a configuration that comes with this code, such as "ViT-B-32-quickgelu"."""
    return json.loads((CONFIGS / f"{name}.json").read_text())


def narrow(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration of the same kind with few and narrow layers."""
    config = json.loads(json.dumps(config))
    model = config["model_cfg"]
    if "timm_model_name" in model["vision_cfg"]:
        model["vision_cfg"]["timm_model_name"] = "test_vit"  # of 0.4 million parameters
        model["vision_cfg"]["image_size"] = 160
    else:
        model["vision_cfg"] = dict(SMALL_RN if isinstance(model["vision_cfg"]["layers"], list) else SMALL_VIT)
    if "hf_model_name" not in model["text_cfg"]:
        model["text_cfg"] = SMALL_TEXT | {"context_length": model["text_cfg"]["context_length"]}
    return config | {"model_cfg": model | {"embed_dim": 24}}


def build_model(config: Mapping[str, Any], bert: Mapping[str, Any] | None = None) -> nn.Module:
    """Return open_clip's model of a configuration, with weights that make attention and batch statistics visible.

    Args:
        config: as an open_clip_config.json.
        bert: config.json of the text tower, if it is one of transformers.
    """
    from open_clip.model import CLIP, CustomTextCLIP

    options = json.loads(json.dumps(config["model_cfg"]))
    torch.manual_seed(0)
    if bert is None:
        model: nn.Module = CLIP(**options)
    else:
        with tempfile.TemporaryDirectory() as text:
            (Path(text) / "config.json").write_text(json.dumps(bert))
            options["text_cfg"] |= {"hf_model_name": text, "hf_model_pretrained": False}
            model = CustomTextCLIP(**options)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            _draw(name, tensor)
    return model.eval()


def _draw(name: str, tensor: Tensor) -> None:
    """Fill a tensor with random numbers of a size that fits its place, in place."""
    last = name.rsplit(".", 1)[-1]
    if last == "running_var":
        tensor.uniform_(0.5, 2.0)
    elif last == "running_mean" or (tensor.ndim == 1 and last in ("bias", "in_proj_bias")):
        tensor.normal_(std=0.2)
    elif tensor.ndim == 1 and last == "weight":  # of a norm
        tensor.uniform_(0.5, 1.5)
    elif last == "logit_scale":
        tensor.fill_(4.0)
    elif tensor.is_floating_point() and tensor.ndim > 1 and not name.endswith("attn_mask"):
        gain = 2.0 if tensor.ndim == 4 else 1.0  # of convolutions, whose outputs are cut at zero and averaged
        tensor.normal_(std=0.3 if "embedding" in name else gain * tensor[0].numel() ** -0.5)
        if last == "in_proj_weight" or "qkv" in name:
            tensor[: 2 * len(tensor) // 3].mul_(GAIN**0.5)
        elif any(part in name for part in ("q_proj", "k_proj", "self.query", "self.key")):
            tensor.mul_(GAIN**0.5)


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights as OpenAI's code keeps them: half precision but for embeddings, norms and the logit scale."""

    def kept(name: str) -> bool:
        parts = name.split(".")
        norm = any(part.startswith(("ln_", "bn")) for part in parts) or "downsample.1" in name
        return norm or parts[-1] == "logit_scale" or "embedding" in name or "num_batches" in name

    return {name: tensor if kept(name) else tensor.half() for name, tensor in tensors.items()}


def _adam(tensors: Mapping[str, Tensor], lr: Any) -> dict[str, Any]:
    """Return the state of an Adam optimizer for weights; its moments are zeros, and take no room in a file."""
    moments = {
        i: {"step": 100, "exp_avg": torch.zeros(()).expand(t.shape), "exp_avg_sq": torch.zeros(()).expand(t.shape)}
        for i, t in enumerate(tensors.values())
    }
    return {"state": moments, "param_groups": [{"lr": lr, "betas": (0.9, 0.98), "params": list(moments)}]}


def _pubmedclip(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the checkpoint of PubMedCLIP's code."""
    kept = halved(tensors)
    return {"best_epoch": 33, "state_dict": kept, "optimizer_state_dict": _adam(kept, 1e-5), "best_loss": 0.6}


def _trained(tensors: Mapping[str, Tensor], text: str = "text.") -> dict[str, Any]:
    """Return a checkpoint of open_clip's training on several GPUs, whose learning rate is a number of NumPy's."""
    state = {f"module.{name.replace('text.', text, 1)}": tensor for name, tensor in tensors.items()}
    return {"epoch": 10, "name": "run", "state_dict": state, "optimizer": _adam(state, np.float64(1e-5))}


WRAPPED: dict[str, Callable[[Mapping[str, Tensor]], Any]] = {
    "PubMedCLIP": _pubmedclip,
    "PubMedCLIP-RN50": _pubmedclip,
    "PubMedCLIP-RN50x4": _pubmedclip,
    "BMC-CLIP": _trained,
    "UniMed-CLIP": partial(_trained, text="text_encoder."),
}


def write_alone(name: str, folder: Path, small: bool = False) -> Path:
    """Write a model that was published as a file of weights alone."""
    file = NAMES[name].weights[0][0]
    config = bundled(PUBLISHED[file])
    bert = _bert(small) if "hf_model_name" in config["model_cfg"]["text_cfg"] else None
    folder.mkdir(parents=True, exist_ok=True)
    if small:
        config = narrow(config)
        (folder / CONFIG).write_text(json.dumps(config))
    if bert:
        write_tokenizer(folder)  # as a user brings it from BiomedBERT's page
        if small:
            (folder / "config.json").write_text(json.dumps(bert))
    torch.save(WRAPPED[name](build_model(config, bert).state_dict()), folder / file)
    return folder


def _bert(small: bool) -> dict[str, Any]:
    """Return the config.json of the text tower of BiomedCLIP's kind."""
    return bert_config() | (SMALL_BERT if small else {})


def write_described(name: str, folder: Path, small: bool = False) -> Path:
    """Write a model that was published with an open_clip_config.json."""
    from safetensors.torch import save_file

    config, bert = DESCRIBED[name](), None
    if "hf_model_name" in config["model_cfg"]["text_cfg"]:
        bert = _bert(small)
    config = narrow(config) if small else config
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config))
    if bert:
        write_tokenizer(folder)
        # QuiltNet's repository has a config.json of both towers, which transformers reads.
        (folder / "config.json").write_text(json.dumps(bert if small else {"model_type": "clip"}))
    else:
        (folder / "tokenizer.json").write_text("{}")  # there is one, which is not needed
    tensors = {key: tensor.contiguous() for key, tensor in build_model(config, bert).state_dict().items()}
    if name.startswith("CLIP"):
        save_file(tensors, folder / "open_clip_model.safetensors")
    else:
        if bert:
            tensors["text.transformer.embeddings.position_ids"] = torch.arange(512)[None]  # of older transformers
        torch.save(tensors, folder / "open_clip_pytorch_model.bin")
    return folder


def _without_quick_gelu(name: str) -> dict[str, Any]:
    """Return a bundled configuration without OpenAI's activation."""
    config = bundled(name)
    del config["model_cfg"]["quick_gelu"]
    return config


def _quiltnet_pmb() -> dict[str, Any]:
    """Return BiomedCLIP's configuration with the former name of its text tower."""
    config = json.loads(json.dumps(BIOMEDCLIP))
    config["model_cfg"]["text_cfg"] |= {"hf_model_name": OLD_BERT, "hf_tokenizer_name": OLD_BERT}
    return config


DESCRIBED: dict[str, Callable[[], dict[str, Any]]] = {
    "CLIP": partial(bundled, "ViT-B-16-quickgelu"),
    "CLIP-B32": partial(bundled, "ViT-B-32-quickgelu"),
    "CLIP-RN50": partial(bundled, "RN50-quickgelu"),
    "QuiltNet-B32": partial(_without_quick_gelu, "ViT-B-32-quickgelu"),
    "QuiltNet-B16": partial(_without_quick_gelu, "ViT-B-16-quickgelu"),
    "DermLIP": partial(_without_quick_gelu, "ViT-B-16-quickgelu"),
    "QuiltNet-PMB": _quiltnet_pmb,
}


class _Entries(nn.Module):
    """Tensors in the places that their names tell."""

    def __init__(self, tensors: Mapping[str, Tensor]):
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            node: nn.Module = self
            for part in path:
                if part not in dict(node.named_children()):
                    node.add_module(part, nn.Module())
                node = node.get_submodule(part)
            node.register_buffer(last, tensor)

    def forward(self, x: Tensor) -> Tensor:
        """Return the argument: only the tensors are wanted."""
        return x


def write_archive(path: Path, tensors: Mapping[str, Tensor], context_length: int = 77, image_size: int = 224) -> Path:
    """Write an archive as OpenAI's code downloads it: TorchScript with half-precision weights and three sizes.

    Args:
        path: of the file, such as `~/.cache/clip/ViT-B-16.pt`; its folder is made.
        tensors: weights by name.
        context_length, image_size: two of the sizes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = {"input_resolution": image_size, "context_length": context_length, "vocab_size": 49408}
    entries = _Entries(halved(tensors) | {name: torch.tensor(size) for name, size in sizes.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit is deprecated
        torch.jit.save(torch.jit.trace(entries, torch.zeros(1)), path)
    return path


def write_phantomclip(folder: Path, small: bool = False) -> Path:
    """Copy PhantomCLIP, which is part of this code and small."""
    return Path(shutil.copytree(NAMES["PhantomCLIP"].source.removeprefix("local-dir:"), folder, dirs_exist_ok=True))


WRITERS: dict[str, Callable[[Path, bool], Path]] = {
    **{name: partial(write_alone, name) for name in WRAPPED},
    **{name: partial(write_described, name) for name in DESCRIBED},
    "PhantomCLIP": write_phantomclip,
}
