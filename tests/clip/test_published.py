"""Models in the layouts in which they were published load from where users have them, and give open_clip's features."""

import json
from itertools import pairwise
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from clip import build_backbone, testing
from clip.build import files_of
from clip.families import known_models
from clip.families.open_clip_models import NAMES, image_input
from clip.families.open_clip_models.published import ARCHIVES, CONFIG, CONFIGS, PUBLISHED
from clip.sanitize import read_model_config
from clip.testing.published import OLD_BERT, WRITERS, build_model, bundled, narrow, write_archive
from dassl.errors import UserError
from tests.clip.few_shot_run import run_few_shot
from tests.clip.published_models import (
    ALONE,
    BERT,
    TEXTS,
    bare_machine,
    described,
    features,
    narrow_configs,
    ours,
    pictures,
    plain,
    write_cache,
    write_weights,
)

CLIPS = {"CLIP": "ViT-B-16.pt", "CLIP-B32": "ViT-B-32.pt", "CLIP-RN50": "RN50.pt"}


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> Path:
    return bare_machine(tmp_path, monkeypatch)


@pytest.fixture
def small(machine, monkeypatch) -> None:
    narrow_configs(machine / "configs", monkeypatch)


def text_tower(folder: Path) -> dict | None:
    path = folder / "config.json"
    return json.loads(path.read_text()) if path.exists() else None


# ------------------------------------------------------------------------------------------- bundled configurations


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_a_bundled_configuration_is_that_of_open_clip(path):
    """UniMed-CLIP has its image tower with another text tower, FetalCLIP has longer texts."""
    renamed = {"UniMed-ViT-B-16": "ViT-B-16-quickgelu", "UniMed-ViT-L-14-336": "ViT-L-14-336-quickgelu"}
    theirs = open_clip.get_model_config(renamed.get(path.stem, path.stem.replace("FetalCLIP", "ViT-L-14")))
    if path.stem == "FetalCLIP":
        theirs["text_cfg"]["context_length"] = 117
    if path.stem in renamed:
        theirs["text_cfg"] = testing.CONFIG["model_cfg"]["text_cfg"]
    found = json.loads(path.read_text())
    assert found["model_cfg"] == theirs
    assert found["preprocess_cfg"] == testing.CONFIG["preprocess_cfg"] | {
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    read_model_config(path)


def test_every_published_name_has_a_configuration_and_all_are_used():
    assert set(PUBLISHED.values()) == {path.stem for path in CONFIGS.glob("*.json")}


def test_archives_are_known_by_the_digests_that_open_clip_knows():
    for name, digest in ARCHIVES.items():
        address = open_clip.get_pretrained_cfg(name.removesuffix(".pt"), "openai")["url"]
        assert address.endswith(f"/{digest}/{name}")


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"PhantomCLIP"}))
def test_what_is_told_of_a_model_is_what_its_configuration_says(name):
    model, file = NAMES[name], NAMES[name].weights[0][0]
    stem = PUBLISHED.get(file) or PUBLISHED.get(model.archive)
    config = bundled(stem) if stem else testing.CONFIG if model.context_length == 256 else bundled("ViT-B-32-quickgelu")
    cfg = config["model_cfg"]
    told = (model.embed_dim, model.context_length, model.image_size)
    assert told == (cfg["embed_dim"], cfg["text_cfg"]["context_length"], cfg["vision_cfg"]["image_size"])
    if model.parameters and "hf_model_name" not in cfg["text_cfg"]:
        cfg = bundled("ViT-B-16-quickgelu")["model_cfg"] if name in ("QuiltNet-B16", "DermLIP") else cfg
        with torch.device("meta"):
            built = open_clip.model.CLIP(**cfg)
        assert model.parameters == sum(p.numel() for p in built.parameters())


# ---------------------------------------------------------------------------------------------------------- features


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"PhantomCLIP"}))
def test_a_layout_gives_the_features_of_plain_open_clip(name, machine, capsys):
    folder = testing.write_model(name, machine / "weights" / name, small=True)
    backbone = build_backbone(name)
    assert capsys.readouterr().out == f"{name} is read from {folder}\n"
    bert = text_tower(folder)
    texts = backbone.tokenizer(TEXTS) if bert else open_clip.tokenize(TEXTS)
    assert texts.shape[1] == known_models()[name].context_length > backbone.tokenize(TEXTS).ids.shape[1]
    found, size = ours(backbone), backbone.image_size
    assert torch.allclose(found, features(plain(name, bert), texts, size), atol=1e-5)
    assert all(not torch.allclose(a, b, atol=0.05) for a, b in pairwise(found))  # all five differ
    config = described(name)["model_cfg"]
    if "timm_model_name" not in config["vision_cfg"]:
        changed = features(plain(name, bert, quick_gelu=not config.get("quick_gelu", False)), texts, size)
        rows = slice(2, 5) if "RN50" in name else slice(0, 2)  # of texts, as a ResNet's activation is another
        assert not torch.allclose(found[rows], changed[rows], atol=1e-3)


def test_heads_and_statistics_show_in_the_features(machine):
    """What random weights of the usual size would hide."""
    for name in ("PubMedCLIP", "PubMedCLIP-RN50"):
        model = plain(name)
        size, texts = described(name)["model_cfg"]["vision_cfg"]["image_size"], open_clip.tokenize(TEXTS)
        right = features(model, texts, size)
        if name == "PubMedCLIP":
            for block in (*model.visual.transformer.resblocks, *model.transformer.resblocks):
                block.attn.num_heads, block.attn.head_dim = 2, 16
        else:
            model.visual.bn1.running_mean.zero_()
        wrong = features(model, texts, size)
        assert (right - wrong)[:2].abs().max() > 0.01
        assert name != "PubMedCLIP" or (right - wrong)[2:].abs().max() > 0.01


def in_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """OpenAI's names as transformers has them."""
    words = {
        "ln_1.": "layer_norm1.",
        "ln_2.": "layer_norm2.",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
        "attn.out_proj": "self_attn.out_proj",
        "transformer.resblocks": "encoder.layers",
        "visual.ln_pre": "visual.pre_layrnorm",
        "visual.ln_post": "visual.post_layernorm",
        "visual.class_embedding": "visual.embeddings.class_embedding",
        "visual.conv1": "visual.embeddings.patch_embedding",
        "ln_final": "final_layer_norm",
        "token_embedding": "embeddings.token_embedding",
    }
    found = {}
    for name, tensor in state.items():
        if name in ("text_projection", "visual.proj"):
            found["text_projection.weight" if name[0] == "t" else "visual_projection.weight"] = tensor.T
            continue
        if name == "logit_scale":
            found[name] = tensor
            continue
        name = name.replace("positional_embedding", "embeddings.position_embedding.weight")
        for old, new in words.items():
            name = name.replace(old, new)
        name = name.replace("visual.", "vision_model.") if "visual" in name else f"text_model.{name}"
        if "attn.in_proj_" in name:
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                found[name.replace("attn.in_proj_", f"self_attn.{part}_proj.")] = third
        else:
            found[name] = tensor
    return found


def test_pubmedclip_gives_the_features_of_transformers(machine):
    """Another library's towers, with the tensors of the published file put into them by name."""
    from transformers import CLIPConfig, CLIPModel

    folder = testing.write_model("PubMedCLIP", machine / "weights" / "PubMedCLIP", small=True)
    state = torch.load(folder / "PubMedCLIP_ViT32.pth", weights_only=True)["state_dict"]
    both = {"hidden_size": 32, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2}
    model = CLIPModel(
        CLIPConfig(
            projection_dim=24,
            text_config=both | {"projection_dim": 24, "eos_token_id": 49407},
            vision_config=both | {"projection_dim": 24, "image_size": 32, "patch_size": 16},
        )
    ).eval()
    model.load_state_dict({name: tensor.float() for name, tensor in in_transformers(state).items()})
    with torch.no_grad():
        out = model(input_ids=open_clip.tokenize(TEXTS), pixel_values=pictures(32))
    theirs = torch.cat([normalize(out.image_embeds, dim=-1), normalize(out.text_embeds, dim=-1)])
    assert torch.allclose(ours(build_backbone("PubMedCLIP")), theirs, atol=1e-5)


# ------------------------------------------------------------------------------------------------------------ places


@pytest.mark.parametrize("name", ALONE)
def test_weights_alone_load_from_every_place(name, machine, small, capsys):
    file = write_weights(name, machine / "weights" / name)
    source = NAMES[name].source
    one = build_backbone(name)
    bert = text_tower(file.parent)
    texts = one.tokenizer(TEXTS) if bert else open_clip.tokenize(TEXTS)
    assert torch.allclose(ours(one), features(plain(name, bert), texts, one.image_size), atol=1e-5)
    assert [path.name for path in files_of(name)][:1] == [file.name]
    assert build_backbone(f"local-dir:{file}").fingerprint() == one.fingerprint()
    assert build_backbone(f"local-dir:{file.parent}").fingerprint() == one.fingerprint()
    assert image_input(name, f"local-dir:{file}") == one.image_input

    checkpoints = machine / "biomedcoop/clip/checkpoints"
    checkpoints.parent.mkdir(parents=True)
    file.parent.rename(checkpoints)
    capsys.readouterr()
    assert build_backbone(name).fingerprint() == one.fingerprint()
    assert capsys.readouterr().out == f"{name} is read from {checkpoints / file.name}\n"

    write_cache(machine, source.removeprefix("hf-hub:"), checkpoints)
    if bert:
        write_cache(machine, BERT, checkpoints)
    found = build_backbone(name)
    assert capsys.readouterr().out == "" and found.revision == "0" * 40
    assert found.fingerprint() == one.fingerprint()
    if [model.source for model in NAMES.values()].count(source) == 1:
        assert build_backbone(f"{source}@{'0' * 40}").fingerprint() == one.fingerprint()
    else:
        with pytest.raises(UserError, match=r"one model in sarahESL/PubMedCLIP, .*_RN50\.pth.*short name"):
            build_backbone(source)


@pytest.mark.parametrize("name", ["CLIP", "QuiltNet-PMB"])
def test_described_models_load_from_the_cache(name, machine, capsys):
    folder = testing.write_model(name, machine / "model", small=True)
    one = build_backbone(f"local-dir:{folder}")
    repo = NAMES[name].source.removeprefix("hf-hub:")
    write_cache(machine, repo, folder)
    if (folder / "config.json").exists():
        write_cache(machine, OLD_BERT, folder)
    found = build_backbone(name)
    assert found.fingerprint() == one.fingerprint() and found.revision == "0" * 40 and not capsys.readouterr().out


@pytest.mark.parametrize("folder", ["home/.cache/clip", "weights"])
@pytest.mark.parametrize(("name", "file"), CLIPS.items())
def test_clip_loads_from_the_archive_of_openai(name, file, folder, machine, small, capsys):
    size, place = 64 if name == "CLIP-RN50" else 32, machine / folder / (name if folder == "weights" else "")
    path = write_archive(place / file, plain(name).state_dict(), image_size=size)
    backbone = build_backbone(name)
    assert capsys.readouterr().out.splitlines() == [
        f"{name} is read from {place if folder == 'weights' else path}",
        f"{path} is not the file that OpenAI published under this name: its SHA256 differs.",
    ]
    theirs = features(plain(name, half=True), open_clip.tokenize(TEXTS), size)
    assert torch.allclose(ours(backbone), theirs, atol=1e-5)


@pytest.mark.parametrize(("file", "length"), [("FetalCLIP_weights.pt", 117), ("BMC_CLIP_CF.pt", 77)])
def test_the_name_of_a_file_tells_the_length_of_texts(file, length, machine, small):
    config = narrow(bundled(PUBLISHED[file]))
    model = build_model(config)
    torch.save(model.state_dict(), machine / file)
    backbone = build_backbone(f"local-dir:{machine / file}")
    assert backbone.context_length == length
    long = " ".join(["word"] * 200)
    ids = open_clip.tokenizer.SimpleTokenizer(context_length=length)([*TEXTS[:2], long])
    with torch.no_grad():
        theirs = normalize(model.encode_text(ids), dim=-1)
    assert torch.allclose(backbone.encode_text([*TEXTS[:2], long]), theirs, atol=1e-5)


def test_unimed_with_the_large_image_tower_loads_from_its_file(machine, small):
    file = "unimed_clip_vit_l14_base_text_encoder.pt"
    folder = testing.write_model("UniMed-CLIP", machine / "model", small=True)
    (folder / CONFIG).unlink()
    (folder / "unimed-clip-vit-b16.pt").rename(folder / file)
    assert build_backbone(f"local-dir:{folder / file}").image_size == 32


@pytest.mark.slow
@pytest.mark.parametrize("name", ["PubMedCLIP", "UniMed-CLIP"])
def test_a_run_of_the_script(name, tmp_path):
    run_few_shot(tmp_path, name)
