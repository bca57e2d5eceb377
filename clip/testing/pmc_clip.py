"""Write PMC-CLIP's three files with random weights."""

from pathlib import Path

import torch
from torch import Tensor

from clip.speed.skip_init import SkipInit
from clip.testing.biomedclip import bert_config, write_tokenizer

VISION = {"layers": [3, 4, 6, 3], "output_dim": 768, "heads": 8, "width": 64}
SMALL_VISION = {"layers": [1, 2, 1, 1], "output_dim": 96, "heads": 8, "width": 8}
SMALL_BERT = {"hidden_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 192}
GAINS = {"q_proj": 2.0, "k_proj": 2.0, "query": 2.0, "key": 2.0, "conv3": 0.5}  # the last ends a residual block


def write_pmc_clip(folder: Path, small: bool = False) -> Path:
    """Write image_encoder(resnet50).pth, text_encoder.pth, text_projection_layer.pth, and a tokenizer beside them.

    Args:
        folder: is returned.
        small: layers of 8 to 256 channels for images, and two of 128 for texts.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from transformers import BertConfig, BertModel

    config = bert_config() | (SMALL_BERT if small else {})
    with SkipInit():
        image = ModifiedResNet(**(SMALL_VISION if small else VISION))
        text = BertModel(BertConfig(**{key: value for key, value in config.items() if key != "architectures"}))
    torch.manual_seed(0)
    write_tokenizer(folder)
    torch.save(_visible(image.state_dict()), folder / "image_encoder(resnet50).pth")
    torch.save(_visible(text.state_dict()), folder / "text_encoder.pth")
    torch.save(torch.randn(config["hidden_size"], image.output_dim), folder / "text_projection_layer.pth")
    return folder


def _visible(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fill weights with random numbers that keep the size of activations, and make attention far from even."""
    for name, tensor in weights.items():
        if name.endswith("num_batches_tracked"):
            continue
        if tensor.ndim == 1:  # of a norm: around 1 and 0; of other layers: biases
            tensor.copy_(float(name.endswith(("weight", "running_var"))) + 0.2 * torch.rand_like(tensor))
        elif name.endswith(("embeddings.weight", "positional_embedding")):
            tensor.normal_()
        else:
            gain = next((gain for word, gain in GAINS.items() if word in name), 1.4)
            tensor.normal_(std=gain * tensor[0].numel() ** -0.5)
    return weights


WRITERS = dict.fromkeys(("PMC-CLIP", "PMC-CLIP-training"), write_pmc_clip)
