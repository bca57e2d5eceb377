"""Small models in the layout of transformers' CLIPModel, against that model itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from clip import build_backbone
from clip.build import files_of
from clip.families import find_family
from clip.families.transformers_models import recognises
from clip.files import Folder
from clip.inputs import input_of
from clip.testing import write_model
from clip.testing.transformers_models import write_clip_model
from dassl.errors import UserError
from trainers.base.prompt_learner import PromptLearner

TEXTS = ["a photo of a glioma tumor.", "Normal brain", "an MRI's left lung (T2), 3.5 mm: no mass; bright"]
CLOSE = 2e-6
OTHER = {  # nothing is as in OpenAI's models
    "text_config": {"hidden_size": 48, "intermediate_size": 100, "num_hidden_layers": 3, "num_attention_heads": 3},
    "vision_config": {"hidden_size": 96, "num_attention_heads": 2, "patch_size": 20, "image_size": 80},
    "projection_dim": 40,
}
OTHER["text_config"] |= {"hidden_act": "gelu", "layer_norm_eps": 1e-2}
OTHER["vision_config"] |= {"hidden_act": "gelu", "layer_norm_eps": 1e-3}
KINDS = {"old": {"old": True}, "new": {"old": False}, "other": {"old": False, **OTHER}}


def change(path: Path, **values) -> None:
    """Set keys of a JSON file; `__` leads into a dictionary within it, and ... takes a key away."""
    content = json.loads(path.read_text())
    for name, value in values.items():
        *parts, last = name.split("__")
        node = content
        for part in parts:
            node = node[part]
        node[last] = value
        if value is ...:
            del node[last]
    path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("clip")
    return {
        kind: write_clip_model(root / kind, small=True, **json.loads(json.dumps(options)))
        for kind, options in KINDS.items()
    }


@pytest.fixture(scope="module", params=KINDS)
def folder(request, folders) -> Path:
    return folders[request.param]


@pytest.fixture(scope="module")
def backbone(folder):
    return build_backbone(f"local-dir:{folder}")


@pytest.fixture
def copied(folders, tmp_path) -> Path:
    """A copy of the newer folder, which a test may change."""
    return shutil.copytree(folders["new"], tmp_path / "model")


def images(size: int) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def reference(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of `TEXTS` and `images`, by transformers alone."""
    model, tokenizer = CLIPModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(TEXTS, padding="max_length", max_length=77, return_tensors="pt")
    pixels = images(model.config.vision_config.image_size)
    texts, pictures = model.get_text_features(**tokens), model.get_image_features(pixel_values=pixels)
    return normalize(texts.pooler_output, dim=-1), normalize(pictures.pooler_output, dim=-1)


def difference(backbone, folder: Path) -> tuple[float, float]:
    """Largest differences of texts and of images from `reference`."""
    texts, pictures = reference(folder)
    ours = backbone.encode_text(TEXTS), backbone.encode_image(images(backbone.image_size))
    return (ours[0] - texts).abs().max().item(), (ours[1] - pictures).abs().max().item()


def test_features_are_those_of_transformers(backbone, folder):
    assert max(difference(backbone, folder)) < CLOSE
    texts, pictures = reference(folder)
    for features in (texts, pictures):  # which tell their inputs apart
        assert (features @ features.T).fill_diagonal_(0).max() < 0.95


def test_a_text_alone_is_not_padded(backbone, folder):
    assert backbone.tokenize(TEXTS[:2]).ids.shape[1] < 12
    alone = torch.cat([backbone.encode_text([text]) for text in TEXTS])
    assert (alone - reference(folder)[0]).abs().max() < CLOSE


def test_what_a_backbone_says_of_itself(folders):
    found = build_backbone(f"local-dir:{folders['other']}")
    assert (found.embed_dim, found.token_dim, found.context_length, found.image_size) == (40, 48, 77, 80)
    assert found.logit_scale == pytest.approx(np.exp(4.5))
    old, new = (build_backbone(f"local-dir:{folders[kind]}") for kind in ("old", "new"))
    assert torch.equal(old.encode_text(TEXTS), new.encode_text(TEXTS))


@pytest.mark.parametrize(
    ("key", "value", "side"),
    [
        ("text_config__num_attention_heads", 2, 0),
        ("text_config__hidden_act", "gelu", 0),
        ("text_config__layer_norm_eps", 0.1, 0),
        ("vision_config__num_attention_heads", 2, 1),
        ("vision_config__layer_norm_eps", 0.1, 1),
    ],
)
def test_another_recipe_gives_other_features(copied, folders, key, value, side):
    """Of the same weights, which do not tell: so the comparison with transformers sees each."""
    good = build_backbone(f"local-dir:{copied}").fingerprint()
    change(copied / "config.json", **{key: value})
    if key.endswith("hidden_act"):
        change(copied / "config.json", vision_config__hidden_act=value)
    other = build_backbone(f"local-dir:{copied}")
    assert difference(other, folders["new"])[side] > 1e-4 and max(difference(other, copied)) < CLOSE
    assert other.fingerprint() != good


def test_two_activations_are_refused(copied):
    change(copied / "config.json", text_config__hidden_act="gelu")
    fails(copied, r"Expected hidden_act in .*config\.json to be .* the same .* but got gelu and quick_gelu: choose")


def test_older_files_describe_a_tower_twice(copied):
    content = json.loads((copied / "config.json").read_text())
    right = content["text_config"]
    change(copied / "config.json", text_config=right | {"num_attention_heads": 2}, text_config_dict=right)
    assert max(difference(build_backbone(f"local-dir:{copied}"), copied)) < CLOSE


def test_the_end_of_texts_is_where_the_configuration_says(copied):
    change(copied / "config.json", text_config__eos_token_id=320)  # "a", which transformers would read out
    fails(copied, r"Expected the tokenizer that .*config\.json asks for to put one token before a text and one behind")


def test_texts_without_a_tokenizer_take_that_of_openai(copied, folders, capsys):
    for name in ("vocab.json", "tokenizer_config.json"):
        (copied / name).unlink()
    found = build_backbone(f"local-dir:{copied}")
    assert "Texts are tokenized by the vocabulary of OpenAI's CLIP" in capsys.readouterr().out
    same = build_backbone(f"local-dir:{folders['new']}")
    assert "tokenized" not in capsys.readouterr().out
    (ids, mask), (others, same_mask) = found.tokenize(TEXTS), same.tokenize(TEXTS)
    assert torch.equal(mask, same_mask) and torch.equal(ids[mask], others[mask])
    assert torch.equal(found.encode_text(TEXTS), same.encode_text(TEXTS))


@pytest.mark.parametrize("shape", [(300, 500), (501, 300), (97, 224)])
def test_pixels_are_those_of_the_image_processor(backbone, folder, shape):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8))
    theirs = AutoImageProcessor.from_pretrained(folder, backend="pil")(picture, return_tensors="pt").pixel_values[0]
    assert torch.allclose(backbone.preprocess(picture), theirs, atol=1e-6)
    assert input_of(f"local-dir:{folder}") == backbone.image_input


PROCESSOR = "preprocessor_config.json"


def test_a_processor_may_squash(copied):
    side = {"height": 224, "width": 224}
    change(copied / PROCESSOR, size=side, do_center_crop=False, resample=2, image_mean=[0.1, 0.2, 0.3], crop_size=...)
    found = input_of(f"local-dir:{copied}")
    assert (found.resize_mode, found.interpolation, found.mean) == ("squash", "bilinear", (0.1, 0.2, 0.3))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 300, 3), dtype=np.uint8))
    theirs = AutoImageProcessor.from_pretrained(copied, backend="pil")(picture, return_tensors="pt").pixel_values[0]
    assert torch.allclose(build_backbone(f"local-dir:{copied}").preprocess(picture), theirs, atol=1e-6)


def test_images_of_a_model_without_processor_are_as_openai_s(copied, folders, capsys):
    expected = input_of(f"local-dir:{folders['new']}")
    assert "No preprocessor" not in capsys.readouterr().out
    content = json.loads((copied / PROCESSOR).read_text())
    (copied / PROCESSOR).unlink()
    assert input_of(f"local-dir:{copied}") == expected
    assert f"No preprocessor_config.json in {copied}: images are scaled" in capsys.readouterr().out
    (copied / "processor_config.json").write_text(json.dumps({"image_processor": content | {"resample": 2}}))
    assert input_of(f"local-dir:{copied}") == expected._replace(interpolation="bilinear")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"do_resize": False}, "Expected do_resize in .* to be true, but got false: images are not prepared"),
        ({"do_normalize": False}, "Expected do_normalize in .* to be true"),
        ({"do_pad": True}, "Expected do_pad in .* to be false"),
        ({"resample": 1}, "Expected resample in .* to be one of 0, 2, 3"),
        ({"rescale_factor": 1.0}, "Expected rescale_factor in .* to be 1/255, but got 1.0"),
        ({"do_center_crop": False}, "Expected do_center_crop in .* as only the shorter edge is scaled"),
        ({"size": {"shortest_edge": 256}}, "Expected size in .* to be 224 pixels, the image_size of .* but got 256"),
        ({"crop_size": {"height": 224, "width": 200}}, "Expected crop_size in .* but got 200 and 224: copy both"),
        ({"size": {"longest_edge": 224}}, "image processor.size of .* to be a number of pixels, or one for"),
        ({"image_std": [1, 0, 1]}, "image processor.image_std of .* to be three numbers above 0"),
    ],
)
def test_what_a_processor_asks_for_beyond_that_is_refused(copied, values, sentence):
    change(copied / PROCESSOR, **values)
    for attempt in (input_of, build_backbone):
        with pytest.raises(UserError, match=sentence) as caught:
            attempt(f"local-dir:{copied}")
        assert "\n" not in str(caught.value)


def fails(folder: Path, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        build_backbone(f"local-dir:{folder}")
    assert "\n" not in str(caught.value)


def misfits(folder: Path, lost: str | None, added: str | None, sentence: str) -> None:
    """Take a tensor from the weights, or add a small one; the model is then refused."""
    weights = load_file(folder / "model.safetensors")
    if lost:
        del weights[lost]
    if added:
        weights[added] = torch.zeros(3, 3)
    save_file(weights, folder / "model.safetensors")
    fails(folder, rf"Expected .*model\.safetensors.* but.* {sentence}")


@pytest.mark.parametrize(
    ("lost", "added", "sentence"),
    [
        ("text_projection.weight", None, r"lacks text_projection"),
        ("vision_model.encoder.layers.0.self_attn.k_proj.bias", None, r"lacks .*0\.attn\.in_proj_bias"),
        (None, "text_model.head.weight", r"has, unknown here, text_model\.head\.weight"),
        (None, "visual_projection.weight", r"size mismatch for visual\.proj"),
    ],
)
def test_weights_that_do_not_fit_are_refused(copied, lost, added, sentence):
    misfits(copied, lost, added, sentence)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.safetensors", b"", "it is empty"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("pytorch_model.bin", b"<html>404</html>" * 99, "it is damaged, cut short or another kind of file"),
        ("pytorch_model.bin", None, "it holds no dictionary of tensors"),
        ("model.safetensors", ..., "Expected model.safetensors or pytorch_model.bin in"),
        ("config.json", b"{", "Expected JSON in .*config.json"),
        ("config.json", b"[]", "Expected open_clip_config.json in"),
        ("preprocessor_config.json", b"[]", "Expected a dictionary of an image processor in"),
    ],
)
def test_damaged_files_are_named(copied, name, content, sentence):
    if name == "pytorch_model.bin":
        (copied / "model.safetensors").unlink()
        torch.save({"a": 1}, copied / name)
    if content is ...:
        (copied / name).unlink()
    elif content is not None:
        (copied / name).write_bytes(content)
    fails(copied, sentence)


def test_one_file_may_be_named(folders, copied):
    named = build_backbone(f"local-dir:{folders['old'] / 'pytorch_model.bin'}")
    assert max(difference(named, folders["old"])) < CLOSE
    fails(copied / "vocab.json", r"Expected model\.safetensors or pytorch_model\.bin .* but got vocab\.json")


def test_half_precision_is_made_whole(copied):
    weights = load_file(copied / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in weights.items()}, copied / "model.safetensors")
    found = build_backbone(f"local-dir:{copied}")
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}


def test_its_family_is_told_by_the_files(folders, tmp_path, monkeypatch):
    assert recognises(Folder(folders["old"])) and not recognises(Folder(folders["old"].parent))
    assert find_family("any", f"local-dir:{folders['new']}").__name__.endswith("transformers_models")
    names = {path.name for path in files_of(f"local-dir:{folders['new']}")}
    assert names == {"config.json", PROCESSOR, "model.safetensors", "tokenizer_config.json", "vocab.json", "merges.txt"}
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(tmp_path))
    write_model("PLIP", tmp_path / "PLIP", small=True)
    assert build_backbone("PLIP").name == "PLIP" and {path.name for path in files_of("PLIP")} > {"pytorch_model.bin"}


@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_untrained_prompts_are_the_written_ones(folders, position):
    found = build_backbone(f"local-dir:{folders['old']}")
    learner = PromptLearner(found, ["glioma_tumor", "brain"], position=position)
    order = {"end": "a photo of a {}.", "middle": "a photo {} of a.", "front": "{} a photo of a."}[position]
    written = found.encode_text([order.format(name) for name in ("glioma tumor", "brain")])
    features = found.encode_tokens(learner(), learner.tokens)
    assert torch.allclose(features, written, atol=1e-5)
    (features @ torch.randn(512)).sum().backward()
    assert (learner.ctx.grad.abs().amax(dim=-1) > 0).all()
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_the_vocabulary(folders):
    found = build_backbone(f"local-dir:{folders['old']}")
    found.vocabulary_ids = lambda: torch.tensor([found.tokenize([word]).ids[0, 1] for word in ("lung", "brain")])
    assert torch.allclose(found.encode_vocabulary(), found.encode_text(["lung", "brain"]), atol=1e-6)
    del found.vocabulary_ids
    assert len(found.vocabulary_ids()) == 49406
