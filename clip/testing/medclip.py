"""Write MedCLIP in the layout in which it was published: one file of weights, beside it the words of its tokenizer."""

import tempfile
import zipfile
from functools import partial
from pathlib import Path
from string import ascii_letters

import torch
from torch import Tensor, nn

from clip.testing.biomedclip import pieces

WORDS = 28_996  # of Bio_ClinicalBERT
WIDTH, SMALL_WIDTH = 768, 128  # of BERT
SWIN = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24]}
SMALL_SWIN = {"embed_dim": 16, "depths": [1, 2, 1, 1], "num_heads": [2, 2, 4, 8]}
VISIBLE = ("query", "key")  # parts of attention whose weights are large enough to see what it attends to


def write_words(folder: Path) -> None:
    """Write a cased WordPiece vocabulary of 28,996 entries: some words, and pieces of one to three letters."""
    found = pieces(f"{ascii_letters}0123456789.,;:-()/%")
    words = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Glioma", "glioma", "photo", "Pneumonia"]
    words += ["lung", "brain", "normal", "tumor", *found, *(f"##{piece}" for piece in found)]
    words += [f"##filler{i}" for i in range(WORDS - len(words))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")


def medclip_weights(resnet: bool, small: bool) -> dict[str, Tensor]:
    """Return random weights of seed 0 under the published names.

    Args:
        resnet: with the image tower of the ResNet variant.
        small: with few and narrow layers, and 64 joint dimensions.
    """
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    width, joint = (SMALL_WIDTH, 64) if small else (WIDTH, 512)
    bert = BertModel(
        BertConfig(
            vocab_size=WORDS,
            hidden_size=width,
            num_hidden_layers=4 if small else 12,
            num_attention_heads=width // 64,
            intermediate_size=2 * width if small else 4 * width,
        )
    )
    tensors = {"logit_scale": torch.tensor(2.6593)}
    tensors |= _under("text_model.model.", {**bert.state_dict(), "embeddings.position_ids": torch.arange(512)[None]})
    tensors["text_model.projection_head.weight"] = torch.empty(joint, width)
    if resnet:
        tensors |= _under("vision_model.model.", _resnet(joint, small))
    else:
        swin = _swin(SMALL_SWIN if small else SWIN)
        tensors |= _under("vision_model.model.", swin)
        tensors["vision_model.projection_head.weight"] = torch.empty(joint, len(swin["layernorm.weight"]))
    return {name: _random(name, tensor) for name, tensor in tensors.items()}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _swin(sizes: dict) -> dict[str, Tensor]:
    """Return Swin's tensors under the names of older versions of transformers, which its files still have."""
    from safetensors.torch import load_file
    from transformers import SwinConfig, SwinModel
    from transformers.utils import logging

    model = SwinModel(SwinConfig(**sizes))
    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tensors = load_file(Path(folder) / "model.safetensors")
    if bar:
        logging.enable_progress_bar()
    index = _position_index(7)
    tables = [name for name in tensors if name.endswith("relative_position_bias_table")]
    return tensors | {name.replace("bias_table", "index"): index for name in tables}


def _position_index(side: int) -> Tensor:
    """Return the relative positions [side^2, side^2] of the patches of a window, as numbers of rows of the table."""
    rows, columns = torch.arange(side).repeat_interleave(side), torch.arange(side).repeat(side)
    down, right = (places[:, None] - places[None] + side - 1 for places in (rows, columns))
    return down * (2 * side - 1) + right


def _resnet(joint: int, small: bool) -> dict[str, Tensor]:
    """Return the tensors of torchvision's ResNet-50, or one with fewer layers, with a projection as its last layer."""
    from torchvision.models.resnet import Bottleneck, ResNet

    model = ResNet(Bottleneck, [1, 2, 1, 1] if small else [3, 4, 6, 3])
    model.fc = nn.Linear(2048, joint, bias=False)
    return model.state_dict()


def _random(name: str, tensor: Tensor) -> Tensor:
    """Return random values for a tensor of this name; whole numbers and the scale as they are."""
    if not tensor.is_floating_point() or tensor.ndim == 0:
        return tensor
    if name.endswith("running_var"):
        return torch.rand(tensor.shape) + 0.5
    if tensor.ndim == 1:  # of a norm: around 1; biases and means around 0
        norm = "norm" in name.lower() or ".bn" in name or "downsample.1" in name
        return 0.1 * torch.randn(tensor.shape) + float(norm and name.endswith("weight"))
    if "embeddings" in name and "patch" not in name:
        return torch.randn(tensor.shape) * 0.5
    if "bias_table" in name:
        return torch.randn(tensor.shape)
    gain = 3.0 if any(f".{part}." in name for part in VISIBLE) else 1.0
    return torch.randn(tensor.shape) * gain / tensor[0].numel() ** 0.5


def write_medclip(folder: str | Path, small: bool = False, resnet: bool = False, packed: str = "") -> Path:
    """Write MedCLIP's weights as pytorch_model.bin, and vocab.txt beside it; return the folder.

    Args:
        folder: is made.
        small: with few and narrow layers.
        resnet: the variant with a ResNet-50.
        packed: name of a zip to write in place of pytorch_model.bin, with the file in it.
    """
    folder = Path(folder)
    write_words(folder)
    path = folder / "pytorch_model.bin"
    torch.save(medclip_weights(resnet, small), path)
    if packed:
        with zipfile.ZipFile(folder / packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
        path.unlink()
    return folder


WRITERS = {"MedCLIP": write_medclip, "MedCLIP-RN50": partial(write_medclip, resnet=True)}
