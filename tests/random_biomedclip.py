"""BiomedCLIP's exact architecture with random weights, laid out as the hub lays it out; no download.

python tests/random_biomedclip.py FOLDER          # a folder for `local-dir:FOLDER`
python tests/random_biomedclip.py --cache HF_HOME # a hub cache for `HF_HOME=... HF_HUB_OFFLINE=1`
"""

import json
import sys
import tempfile
from pathlib import Path

import torch

HUB = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
BERT = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
PARAMETERS = 195_900_000  # as published, to four digits
WORDS = (
    "a photo of the an image showing glioma meningioma pituitary tumor normal brain lung lungs kidney mass bright dark"
)
CONFIG = {
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


def bert_config() -> dict:
    """BERT-base with BiomedBERT's vocabulary size, as the hub's config.json has it."""
    path = Path(__file__).parent.parent / "clip/text_configs" / BERT.rsplit("/", 1)[-1] / "config.json"
    return json.loads(path.read_text())


def write_config(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG))


def write_tokenizer(folder: Path) -> None:
    """A WordPiece vocabulary of 30,522 entries that has single characters and some words."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,;:-()/%"
    words = ["[PAD]", "[unused1]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    words += [w for w in dict.fromkeys(WORDS.split()) if w not in words]
    words += [f"##filler{i}" for i in range(30_522 - len(words))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512})
    )


def write_weights(folder: Path, safetensors: bool = True) -> None:
    """Seeded random weights under the names that open_clip gives them."""
    from open_clip.model import CustomTextCLIP
    from safetensors.torch import save_file

    torch.manual_seed(0)
    cfg = json.loads(json.dumps(CONFIG["model_cfg"]))
    with tempfile.TemporaryDirectory() as text:
        (Path(text) / "config.json").write_text(json.dumps(bert_config()))
        cfg["text_cfg"] |= {"hf_model_name": text, "hf_model_pretrained": False}
        model = CustomTextCLIP(**cfg)
    count = sum(p.numel() for p in model.parameters())
    assert abs(count - PARAMETERS) < 50_000, count
    model.logit_scale.data.fill_(4.4454)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if safetensors:
        save_file(state, folder / "open_clip_model.safetensors")
    else:
        torch.save(state, folder / "open_clip_pytorch_model.bin")


def write_folder(folder: str | Path) -> Path:
    """What `hf download` makes of the repository: weights, config and tokenizer, but no config.json of BERT's."""
    folder = Path(folder)
    write_config(folder)
    write_tokenizer(folder)
    write_weights(folder)
    return folder


def write_hub_cache(hf_home: str | Path) -> Path:
    """`<HF_HOME>/hub` as huggingface_hub keeps it: both repositories, weights in a .bin file."""
    snapshots = {}
    for repo in (HUB, BERT):
        root = Path(hf_home) / "hub" / f"models--{repo.replace('/', '--')}"
        snapshots[repo] = root / "snapshots" / ("0" * 40)
        snapshots[repo].mkdir(parents=True, exist_ok=True)
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text("0" * 40)
    write_config(snapshots[HUB])
    write_weights(snapshots[HUB], safetensors=False)
    write_tokenizer(snapshots[BERT])
    (snapshots[BERT] / "config.json").write_text(json.dumps(bert_config()))
    return Path(hf_home)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--cache"]:
        print(f"HF_HOME={write_hub_cache(sys.argv[2])}")
    else:
        print(f"local-dir:{write_folder(sys.argv[1])}")
