"""MedCLIP on random weights in the published layout, against plain transformers, torchvision and PIL."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from clip import Tokens, build_backbone, testing
from clip.inputs import input_of
from clip.testing import medclip
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from tests.clip.few_shot_run import run_few_shot
from trainers.base.backbones import set_input
from trainers.base.prompt_learner import PromptLearner

ROOT = Path(__file__).parents[2]
TEXTS = ["a photo of a Glioma.", "normal lung", "Pneumonia of the left lung, with a tumor: 3.5 mm (mass)"]
KINDS = ("MedCLIP", "MedCLIP-RN50")
MEAN, STD = 0.5862785803043838, 0.27950088968644304
NEW_NAMES = {  # of Swin's tensors in newer versions of transformers; "output.dense" last, as it is in another name
    "attention.self.query": "attention.q_proj",
    "attention.self.key": "attention.k_proj",
    "attention.self.value": "attention.v_proj",
    "attention.self.relative_position_bias_table": "attention.relative_position_bias.relative_position_bias_table",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory) -> Path:
    return testing.write_model(request.param, tmp_path_factory.mktemp(request.param) / request.param, small=True)


@pytest.fixture(scope="module")
def backbone(folder):
    return build_backbone(f"local-dir:{folder}")


def read(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "pytorch_model.bin", weights_only=True)


def part(tensors, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors of a tower under the names of its library."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def bert(tensors, heads: int):
    """Plain BERT with the weights of the text tower."""
    from transformers import BertConfig, BertModel

    weights = part(tensors, "text_model.model.")
    assert torch.equal(weights.pop("embeddings.position_ids"), torch.arange(512)[None])
    words, width = weights["embeddings.word_embeddings.weight"].shape
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer"))
    inner = len(weights["encoder.layer.0.intermediate.dense.weight"])
    sizes = {"vocab_size": words, "hidden_size": width, "num_hidden_layers": layers, "intermediate_size": inner}
    model = BertModel(BertConfig(**sizes, num_attention_heads=heads, attn_implementation="eager")).eval()
    model.load_state_dict(weights)
    return model


@torch.no_grad()
def published_texts(folder: Path, heads: int, layers=(1, 2, -1), length: int | None = None) -> torch.Tensor:
    """Features of texts as the published code computes them: one by one, or padded to a length that enters the mean."""
    from transformers import BertTokenizerFast

    tensors, words = read(folder), (folder / "vocab.txt").read_text().splitlines()
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}, do_lower_case=True)
    model, projection, features = bert(tensors, heads), tensors["text_model.projection_head.weight"], []
    for text in TEXTS:
        kinds = {"padding": "max_length", "max_length": length} if length else {}
        out = model(**tokenizer([text], return_tensors="pt", **kinds), output_hidden_states=True)
        stacked = torch.stack([out.hidden_states[layer] for layer in layers])  # [layers, 1, L, width]
        features.append(stacked.permute(1, 0, 2, 3).mean(2).mean(1) @ projection.T)
    return normalize(torch.cat(features), dim=-1)


@torch.no_grad()
def published_images(folder: Path, images: torch.Tensor, sizes: dict, layers: list[int]) -> torch.Tensor:
    """Features of pixels by plain Swin of these sizes, or torchvision's ResNet of these layers."""
    from torchvision.models.resnet import Bottleneck, ResNet
    from transformers import SwinConfig, SwinModel

    tensors = read(folder)
    weights = part(tensors, "vision_model.model.")
    if "fc.weight" in weights:
        model = ResNet(Bottleneck, layers)
        model.fc = torch.nn.Linear(2048, len(weights["fc.weight"]), bias=False)
        model.load_state_dict(weights)
        return normalize(model.eval()(images), dim=-1)
    model = SwinModel(SwinConfig(**sizes)).eval()
    own = model.state_dict()
    for name in [name for name in weights if name not in own]:
        old = next((old for old in NEW_NAMES if old in name), None)
        tensor = weights.pop(name)
        if old:
            weights[name.replace(old, NEW_NAMES[old])] = tensor
        else:
            assert name.endswith("relative_position_index") and tensor.shape == (49, 49)
    model.load_state_dict(weights)
    tokens = model(images).last_hidden_state.mean(dim=1)
    return normalize(tokens @ tensors["vision_model.projection_head.weight"].T, dim=-1)


def pictures() -> list[Image.Image]:
    """A wide, a high, a small, an exact and an odd picture in colour."""
    rng = np.random.default_rng(0)
    sizes = [(300, 120), (90, 310), (50, 41), (224, 224), (301, 224), (640, 480)]
    coarse = [Image.fromarray(rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)) for _ in sizes]
    return [picture.resize(size, Image.Resampling.BILINEAR) for picture, size in zip(coarse, sizes, strict=True)]


def pixels_of(picture: Image.Image) -> np.ndarray:
    """The pixels of a picture as the published processor makes them."""
    width, height = picture.size
    side = max(224, width, height)
    square = Image.new("L", (side, side), 0)
    square.paste(picture, (int((side - width) / 2), int((side - height) / 2)))
    values = np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    return np.stack([(values - MEAN) / STD] * 3)


def test_a_text_has_the_feature_that_the_published_code_gives_it_alone(backbone, folder):
    expected = published_texts(folder, heads=2)
    assert torch.allclose(backbone.encode_text(TEXTS), expected, atol=1e-5)
    alone = torch.cat([backbone.encode_text([text]) for text in TEXTS])
    assert torch.allclose(alone, expected, atol=1e-5)


def test_other_heads_layers_and_padding_would_be_seen(folder):
    expected = published_texts(folder, heads=2)
    for other in ({"heads": 1}, {"heads": 2, "layers": (1, 2, 3)}, {"heads": 2, "length": 77}):
        assert (published_texts(folder, **other) - expected).abs().max() > 1e-3, other


def test_trimmed_texts_give_the_features_of_padded_ones(backbone):
    ids = backbone.tokenizer(TEXTS)
    mask = ids != 0
    assert ids.shape == (3, 77) and backbone.tokenize(TEXTS).ids.shape[1] == mask.sum(dim=1).max() < 77
    padded = backbone.encode_tokens(backbone.embed(ids), Tokens(ids, mask))
    assert torch.allclose(backbone.encode_text(TEXTS), padded, atol=1e-5)


def test_texts_are_lower_cased_through_cased_words(backbone, folder):
    words = (folder / "vocab.txt").read_text().splitlines()
    assert {"Glioma", "glioma"} < set(words)
    ids = backbone.tokenize(["Glioma"]).ids
    assert [words[i] for i in ids[0]] == ["[CLS]", "glioma", "[SEP]"]


def test_images_have_the_features_of_plain_towers(backbone, folder):
    images = torch.stack([torch.from_numpy(pixels_of(picture)).float() for picture in pictures()])
    expected = published_images(folder, images, medclip.SMALL_SWIN, [1, 2, 1, 1])
    assert torch.allclose(backbone.encode_image(images), expected, atol=1e-5)
    if "RN50" not in folder.name:
        fewer = medclip.SMALL_SWIN | {"num_heads": [1, 1, 1, 1]}
        tensors = read(folder)
        for name in tensors:
            if name.endswith("bias_table"):
                tensors[name] = tensors[name][:, :1]
        other = folder.parent / "other"
        other.mkdir(exist_ok=True)
        torch.save(tensors, other / "pytorch_model.bin")
        assert (published_images(other, images, fewer, []) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("picture", pictures(), ids=lambda picture: "x".join(map(str, picture.size)))
def test_pictures_are_prepared_as_by_the_published_processor(backbone, picture):
    cfg = get_cfg_default()
    cfg.merge_from_file(ROOT / "configs/common.yaml")
    set_input(cfg, backbone)
    expected = pixels_of(picture)
    ours = backbone.preprocess(picture)
    assert ours.shape == (3, 224, 224) and np.abs(ours.numpy() - expected).max() < 2e-6
    assert torch.equal(build_transform(cfg, is_train=False)(picture), ours)


def test_the_image_input_is_known_without_weights(backbone):
    for name in KINDS:
        assert input_of(name) == backbone.image_input


def test_dimensions_scale_and_recipe(backbone, folder, capsys):
    assert (backbone.embed_dim, backbone.token_dim, backbone.context_length, backbone.image_size) == (64, 128, 77, 224)
    assert backbone.logit_scale == pytest.approx(np.exp(2.6593), rel=1e-6)
    recipe = json.loads(backbone.recipe)
    assert recipe["pooled"] == [1, 2, -1] and recipe["text_heads"] == 2
    assert recipe.get("heads") == (None if "RN50" in folder.name else [2, 2, 4, 8])
    build_backbone(f"local-dir:{folder}")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{folder.name} sees pictures in grey, padded to a square in black") and "vocab.txt" in line


def test_the_scale_is_bounded_as_in_training(folder, tmp_path):
    tensors = read(folder)
    shutil.copy(folder / "vocab.txt", tmp_path)
    for value, expected in ((7.0, 100.0), (-3.0, 1.0)):
        torch.save(tensors | {"logit_scale": torch.tensor(value)}, tmp_path / "pytorch_model.bin")
        assert build_backbone(f"local-dir:{tmp_path}").logit_scale == pytest.approx(expected, rel=1e-4)


def test_gradients_reach_the_context_and_no_weight(backbone):
    tokens = backbone.tokenize(TEXTS)
    embeddings = backbone.embed(tokens.ids).detach().requires_grad_()
    (backbone.encode_tokens(embeddings, tokens) @ torch.randn(64)).sum().backward()
    assert (embeddings.grad[tokens.mask].abs().amax(dim=-1) > 0).all()
    assert (embeddings.grad[~tokens.mask] == 0).all()
    assert not any(p.requires_grad or p.grad is not None for p in backbone.parameters())


def test_untrained_prompts_are_the_written_ones(backbone):
    learner = PromptLearner(backbone, ["Glioma", "normal_lung"], n_ctx=4, ctx_init="a photo of a")
    written = backbone.encode_text(["a photo of a Glioma.", "a photo of a normal lung."])
    assert torch.allclose(backbone.encode_tokens(learner(), learner.tokens), written, atol=1e-5)


def test_vocabulary(backbone):
    ids, features = backbone.vocabulary_ids(), backbone.encode_vocabulary()
    assert features.shape == (medclip.WORDS - 6, 64)  # [PAD] [UNK] [CLS] [SEP] [MASK] [unused1]
    place = ids.tolist().index(int(backbone.tokenize(["glioma"]).ids[0, 1]))
    assert torch.allclose(features[place], backbone.encode_text(["glioma"])[0], atol=1e-5)
    projected = backbone.project_vocabulary()[place]
    expected = normalize(backbone.embed(ids[place]) @ backbone.text.proj.weight.T, dim=-1)
    assert torch.allclose(projected, expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_full_size(name, tmp_path, monkeypatch):
    folder = testing.write_model(name, tmp_path / name)
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(tmp_path))
    backbone = build_backbone(name)
    assert backbone.name == name and (backbone.embed_dim, backbone.token_dim) == (512, 768)
    if name == "MedCLIP":  # 521 MiB of float32, as the published file has
        assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(136.6e6, rel=1e-3)
    assert torch.allclose(backbone.encode_text(TEXTS), published_texts(folder, heads=12), atol=1e-5)
    images = torch.stack([backbone.preprocess(picture) for picture in pictures()[:2]])
    expected = published_images(folder, images, medclip.SWIN, [3, 4, 6, 3])
    assert torch.allclose(backbone.encode_image(images), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vmfcoop", "zeroshot"])
def test_a_run_of_the_script_finds_the_weights_folder(method, tmp_path):
    options = "OPTIM.MAX_EPOCH 1 TRAINER.VMFCOOP.N_PROMPTS 2" if method == "vmfcoop" else ""
    _, printed = run_few_shot(tmp_path, "MedCLIP", method, options)
    assert "padded to a square in black" in printed
