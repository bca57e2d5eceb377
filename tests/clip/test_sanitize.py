"""Known keys of a configuration are kept; other keys are refused, or named and left out."""

import json
import re
from dataclasses import fields
from pathlib import Path

import open_clip
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_clip.hf_configs import arch_dict
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import save_file
from torch.nn.functional import normalize
from transformers import AutoConfig

from checkouts.hub_cache import BIOMEDCLIP
from checkouts.stand_in import stand_in
from clip import build_backbone, testing
from clip.families.open_clip_models import NAMES
from clip.known_keys import TEXT, TEXT_TOWER, TEXT_TOWERS, VISION
from clip.sanitize import read_model_config
from dassl.errors import UserError

PHANTOMCLIP = Path(NAMES["PhantomCLIP"].source.removeprefix("local-dir:"))
PUBLISHED = sorted((Path(open_clip.__file__).parent / "model_configs").glob("*.json"))
TEXTS = ["a photo of a glioma tumor.", "normal brain", "x"]
VISION_CFG = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16}
TEXT_CFG = {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
OWN = TEXT_CFG | {"vocab_size": 5000, "hf_tokenizer_name": "org/words", "pool_type": "eos"}  # [SEP] of PhantomCLIP is 3


def write(folder: Path, text: dict, vision: dict, tower: dict | None = None, **model) -> str:
    """Write a model of random weights with PhantomCLIP's tokenizer; return its name for `build_backbone`."""
    folder.mkdir()
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text, **model}
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((PHANTOMCLIP / name).read_bytes())
    if tower:
        (folder / "config.json").write_text(json.dumps(tower))
    write_config(folder, config | {"text_cfg": text | ({"hf_model_name": str(folder)} if tower else {})})
    torch.manual_seed(0)
    built = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_hf=False)
    for parameter in built.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    save_file({k: v.contiguous() for k, v in built.state_dict().items()}, folder / "open_clip_model.safetensors")
    write_config(folder, config)
    return f"local-dir:{folder}"


def write_config(folder: Path, model: dict, **more) -> Path:
    path = folder / "open_clip_config.json"
    path.write_text(json.dumps({"model_cfg": model, "preprocess_cfg": {}} | more))
    return path


BERT = {"model_type": "bert", "vocab_size": 5000, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
BERT |= {"intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 0}
M2M = {"model_type": "m2m_100", "vocab_size": 5000, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1}
M2M |= {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
M2M |= {"max_position_embeddings": 40, "pad_token_id": 0}
MT5 = {"model_type": "mt5", "vocab_size": 5000, "d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2}
HF = {"hf_model_name": "org/tower", "hf_tokenizer_name": "org/words", "context_length": 20, "hf_proj_type": "mlp"}

LOADED = {
    "causal": (TEXT_CFG, VISION_CFG),
    "quick gelu": (TEXT_CFG, VISION_CFG, None, {"quick_gelu": True}),
    "custom text": (TEXT_CFG, VISION_CFG, None, {"custom_text": True, "init_logit_bias": -10}),
    "a bias of the projection": (TEXT_CFG | {"proj_bias": True}, VISION_CFG),
    "no projection": (TEXT_CFG | {"proj_type": "none"}, VISION_CFG),
    "other activations": (
        TEXT_CFG | {"act_kwargs": {"approximate": "tanh"}, "norm_kwargs": {"eps": 1e-3}},
        VISION_CFG | {"act_kwargs": {"approximate": "tanh"}, "norm_kwargs": {"eps": 1e-3}, "ls_init_value": 0.1},
    ),
    "words cleaned otherwise": (TEXT_CFG | {"tokenizer_kwargs": {"clean": "canonicalize"}}, VISION_CFG),
    "tokens beside features": (TEXT_CFG | {"output_tokens": True}, VISION_CFG, None, {"custom_text": True}),
    "a ResNet": (TEXT_CFG, {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}),
    "a tower of timm's": (TEXT_CFG, {"image_size": 32, "timm_model_name": "resnet10t", "timm_pool": "avg"}),
    "pooled by attention": (TEXT_CFG, VISION_CFG | {"attentional_pool": True, "attn_pooler_heads": 2}),
    "its own words": (OWN | {"eos_id": 3}, VISION_CFG),
    "its own words, custom": (OWN | {"eos_id": 3}, VISION_CFG, None, {"custom_text": True}),
    "its own words, cleaned": (OWN | {"eos_id": 3, "tokenizer_kwargs": {"clean": "canonicalize"}}, VISION_CFG),
    "BERT, mean": (HF | {"hf_pooler_type": "mean_pooler"}, VISION_CFG, BERT),
    "BERT, first": (HF | {"hf_pooler_type": "cls_last_hidden_state_pooler"}, VISION_CFG, BERT),
    "BERT, pooler": (HF | {"hf_pooler_type": "cls_pooler", "hf_proj_type": "linear"}, VISION_CFG, BERT),
    "RoBERTa": (HF | {"hf_pooler_type": "mean_pooler"}, VISION_CFG, BERT | {"model_type": "roberta"}),
    "XLM-RoBERTa": (HF | {"hf_pooler_type": "mean_pooler"}, VISION_CFG, BERT | {"model_type": "xlm-roberta"}),
    "mT5": (HF | {"hf_pooler_type": "mean_pooler"}, VISION_CFG, MT5),
    "NLLB": (HF | {"hf_pooler_type": "cls_pooler"}, VISION_CFG, M2M),
}


@pytest.mark.parametrize("name", LOADED)
def test_features_are_those_of_open_clip(name, tmp_path):
    text, vision, tower, model = (*LOADED[name], *({}, None, {})[len(LOADED[name]) - 1 :])[:4]
    source = write(tmp_path / "model", text, vision, tower, **model)
    found = build_backbone(source)
    images = torch.randn(2, 3, found.image_size, found.image_size, generator=torch.Generator().manual_seed(0))
    if tower:
        config = json.loads((tmp_path / "model/open_clip_config.json").read_text())["model_cfg"]
        config["text_cfg"]["hf_model_name"] = str(tmp_path / "model")
        write_config(tmp_path / "model", config)
    theirs = open_clip.create_model(source).eval()
    with torch.no_grad():
        features = theirs.encode_text(open_clip.get_tokenizer(source)(TEXTS))
        features = normalize(features[0] if isinstance(features, tuple) else features, dim=-1)
        pictures = normalize(theirs.encode_image(images), dim=-1)
    assert torch.allclose(found.encode_text(TEXTS), features, atol=1e-5)
    assert torch.allclose(found.encode_image(images), pictures, atol=1e-5)
    assert (features @ features.T).fill_diagonal_(0).max() < 0.999, "texts that look alike show nothing"


def refused(source: str, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        build_backbone(source)
    assert "\n" not in str(caught.value) and "open_clip_config.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (OWN | {"eos_id": 7}, r"one token before a text and one behind it"),
        (OWN | {"pool_type": "argmax"}, r"end-of-text token to have the highest id, .* but it is 3 of 4999"),
        (OWN | {"eos_id": 3, "vocab_size": 4000}, r"tokenizer of at most 4000 words, .* but it has 5000"),
        (TEXT_CFG | {"vocab_size": 32000}, r"tokenizer of at most 32000 words, .* but it has 49408"),
        (TEXT_CFG | {"pool_type": "last", "no_causal_mask": True}, r'pools by "last"'),
        (TEXT_CFG | {"no_causal_mask": True}, r"sees both ways"),
        (TEXT_CFG | {"embed_cls": True}, r"causal text tower"),
        (TEXT_CFG | {"heads": 5}, r"to describe a model that open_clip builds, but: "),
    ],
)
def test_text_towers_that_are_not_read_here(text, match, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((PHANTOMCLIP / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_bytes((PHANTOMCLIP / "tokenizer_config.json").read_bytes())
    write_config(tmp_path, {"embed_dim": 32, "vision_cfg": VISION_CFG, "text_cfg": text})
    refused(f"local-dir:{tmp_path}", match)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_architectures_are_read_as_they_are_or_refused(path, tmp_path):
    published = json.loads(path.read_text())
    there = write_config(tmp_path, published)
    if "multimodal_cfg" in published:
        with pytest.raises(UserError, match="CoCa") as caught:
            read_model_config(there)
        assert str(there) in str(caught.value)
        return
    found, _ = read_model_config(there)
    assert found["text_cfg"].pop("hf_model_pretrained") is False
    published["text_cfg"].pop("hf_model_pretrained", None)
    assert found == published


@pytest.mark.parametrize(("ours", "theirs"), [(TEXT, CLIPTextCfg), (VISION, CLIPVisionCfg)])
def test_known_keys_are_those_of_open_clip(ours, theirs):
    assert set(ours) == {field.name for field in fields(theirs)}


def test_known_text_towers_are_those_of_open_clip():
    assert set(TEXT_TOWERS) == set(arch_dict)
    said = {"output_attentions", "output_hidden_states", "return_dict", "problem_type", "chunk_size_feed_forward"}
    said |= {"_name_or_path", "architectures", "dtype", "id2label", "label2id", "transformers_version"}
    for kind in TEXT_TOWERS:
        assert set(AutoConfig.for_model(kind).to_dict()) - said <= TEXT_TOWER


@pytest.mark.parametrize(
    ("model", "match"),
    [
        ({"multimodal_cfg": {}}, "CoCa"),
        ({"output_dict": True}, r'model_cfg .* no keys but .* but got "output_dict"'),
        ({"embed_dim": "32"}, r'model_cfg\.embed_dim .* a whole number .* but got "32"'),
        ({"embed_dim": 10**400}, r"model_cfg\.embed_dim"),
        ({"init_logit_bias": float("nan")}, r"init_logit_bias .* a number"),
        ({"vision_cfg": VISION_CFG | {"image_size": [32, 48]}}, r"image_size .* side of a square"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:org/model"}}, r"timm_model_name .* name of a model"),
        ({"vision_cfg": {"timm_model_name": "local-dir:/model"}}, r"timm_model_name .* name of a model"),
        ({"text_cfg": HF | {"hf_model_name": "../model"}}, r"hf_model_name .* a repository of the hub"),
        ({"text_cfg": HF | {"hf_tokenizer_name": "/etc"}}, r"hf_tokenizer_name .* a repository of the hub"),
        ({"text_cfg": HF | {"hf_tokenizer_name": "org/a--b"}}, r"hf_tokenizer_name .* a repository of the hub"),
        ({"text_cfg": TEXT_CFG | {"tokenizer_kwargs": {"trust_remote_code": True}}}, r"but got \"trust_remote_code\""),
        ({"vision_cfg": {"timm_model_name": "no_such_model"}}, r"a model that timm .* builds"),
        (
            {"text_cfg": TEXT_CFG | {"tokenizer_kwargs": {"use_fast": False}}},
            r"tokenizer_kwargs .* but got \"use_fast\"",
        ),
        ({"text_cfg": HF | {"hf_pooler_type": "max_pooler"}}, r"hf_pooler_type"),  # fails in open_clip itself
        ({"text_cfg": TEXT_CFG | {"act_kwargs": {"approximate": "tanh", "inplace": True}}}, r"act_kwargs"),
    ],
)
def test_what_is_not_known_is_refused(model, match, tmp_path):
    write_config(tmp_path, {"embed_dim": 32, "vision_cfg": VISION_CFG, "text_cfg": TEXT_CFG} | model)
    refused(f"local-dir:{tmp_path}", match)


@pytest.mark.parametrize(
    ("preprocess", "match"),
    [
        ({"resize_mode": "longest"}, "resize_mode .* shortest, squash"),
        ({"interpolation": "random"}, "interpolation"),
        ({"std": [0, 1, 1]}, "above 0"),
        ({"mean": [0.5]}, "three numbers"),
    ],
)
def test_images_that_are_prepared_otherwise_are_refused(preprocess, match, tmp_path):
    model = {"embed_dim": 32, "vision_cfg": VISION_CFG, "text_cfg": TEXT_CFG}
    write_config(tmp_path, model, preprocess_cfg=preprocess)
    refused(f"local-dir:{tmp_path}", match)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = [("vision_cfg", key) for key in VISION] + [("text_cfg", key) for key in TEXT]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(KEYS), value=JSON)
def test_any_value_is_kept_or_refused_in_one_sentence(key, value, tmp_path):
    parts = {"vision_cfg": dict(VISION_CFG), "text_cfg": dict(TEXT_CFG)}
    parts[key[0]][key[1]] = value
    try:
        read_model_config(write_config(tmp_path, {"embed_dim": 32, **parts}))
    except UserError as error:
        assert key[1] in str(error) and len(str(error).splitlines()) == 1


def test_older_names_of_keys_are_read(tmp_path):
    text = {"hf_model_name": "org/tower", "hf_tokenizer_name": "org/words", "context_length": 20}
    new = write(tmp_path / "new", text | {"hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler"}, VISION_CFG, BERT)
    expected = build_backbone(new).encode_text(TEXTS)
    config = {
        "embed_dim": 32,
        "vision_cfg": VISION_CFG,
        "text_cfg": text | {"proj": "mlp", "pooler_type": "mean_pooler"},
    }
    write_config(tmp_path / "new", config)
    assert torch.equal(build_backbone(new).encode_text(TEXTS), expected)


def test_what_is_left_out_is_told_in_one_line(tmp_path, capsys):
    source = write(tmp_path / "model", HF | {"hf_pooler_type": "mean_pooler"}, VISION_CFG, BERT)
    build_backbone(source)
    assert "Left out" not in capsys.readouterr().out
    for name, values in (("config.json", BERT), ("tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})):
        (tmp_path / "model" / name).write_text(json.dumps(values | {"auto_map": {}, "architectures": ["BertModel"]}))
    build_backbone(source)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Left out")]
    assert len(lines) == 2 and all(re.search(r'(tokenizer_)?config\.json, .*: "auto_map"\.$', line) for line in lines)


def test_what_stands_in_for_the_hub_is_the_model_itself(tmp_path):
    """open_clip, asked for BiomedCLIP on the hub, returns our features."""
    folder = testing.write_biomedclip(tmp_path / "model", small=True)
    expected = build_backbone(f"local-dir:{folder}")
    with stand_in(f"local-dir:{folder}"), torch.no_grad():
        theirs = open_clip.create_model(f"hf-hub:{BIOMEDCLIP}").eval()
        features = theirs.encode_text(open_clip.get_tokenizer(f"hf-hub:{BIOMEDCLIP}")(TEXTS))
    assert torch.allclose(normalize(features, dim=-1), expected.encode_text(TEXTS), atol=1e-5)
