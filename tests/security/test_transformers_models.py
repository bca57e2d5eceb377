"""Folders in the layout of transformers' models of two towers are read and never run."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from clip import build_backbone
from clip.testing.transformers_models import write_clip_model, write_siglip_model
from dassl.errors import UserError
from tests.clip.test_transformers_clip import change

pytestmark = [pytest.mark.usefixtures("sentinel", "no_network", "no_stdin")]
CODE = """
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer


class Tok(CLIPTokenizer):
    pass


class Config(CLIPConfig):
    model_type = "evil"


class Model(CLIPModel):
    pass
"""
MAPS = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoTokenizer": ["evil.Tok", None]}
MAPS |= {"AutoProcessor": "evil.Model", "AutoImageProcessor": "evil.Model"}
WRITERS = {
    "clip": lambda folder: write_clip_model(folder, small=True, old=False),
    "siglip": lambda folder: write_siglip_model(folder, small=True),
}


def pickled(folder: Path, sentinel, **options) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": sentinel, "logit_scale": sentinel}, folder / "pytorch_model.bin", **options)


def linked(folder: Path, name: str, target: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)


def pipe(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


def huge(folder: Path, part: str, key: str, value=10**12) -> None:
    change(folder / "config.json", **{f"{part}__{key}": value})


HOSTILE = {  # what is done to a folder; `e` is a path elsewhere
    "auto_map": lambda f, s, e: change(f / "config.json", auto_map=MAPS),
    "auto_map of a part": lambda f, s, e: change(f / "config.json", text_config__auto_map=MAPS),
    "code of another repository": lambda f, s, e: change(
        f / "config.json", auto_map={"AutoConfig": "org/evil--evil.Config"}, trust_remote_code=True
    ),
    "auto_map of the tokenizer": lambda f, s, e: change(f / "tokenizer_config.json", auto_map=MAPS),
    "class of the tokenizer": lambda f, s, e: change(f / "tokenizer_config.json", auto_map=MAPS, tokenizer_class="Tok"),
    "auto_map of the processor": lambda f, s, e: change(
        f / "preprocessor_config.json", auto_map=MAPS, image_processor_type="Evil"
    ),
    "attention": lambda f, s, e: change(
        f / "config.json", _attn_implementation="org/evil", text_config___attn_implementation_internal="org/evil:1"
    ),
    "attention of another repository": lambda f, s, e: change(
        f / "config.json", attn_implementation="org/evil", vision_config__attn_implementation="org/evil"
    ),
    "quantization": lambda f, s, e: change(f / "config.json", quantization_config={"quant_method": "gptq"}),
    "quantization of a part": lambda f, s, e: change(
        f / "config.json", vision_config__quantization_config={"quant_method": "awq", "modules": str(e)}
    ),
    "name of elsewhere": lambda f, s, e: change(
        f / "config.json", _name_or_path=str(e), text_config___name_or_path="x"
    ),
    "kernels": lambda f, s, e: change(f / "config.json", use_kernels=True, kernel_config={"RMSNorm": "org/evil"}),
    "adapter": lambda f, s, e: (f / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(e), "auto_mapping": MAPS})
    ),
    "layers": lambda f, s, e: huge(f, "text_config", "num_hidden_layers"),
    "layers of images": lambda f, s, e: huge(f, "vision_config", "num_hidden_layers"),
    "no layers": lambda f, s, e: huge(f, "vision_config", "num_hidden_layers", 0),
    "width": lambda f, s, e: huge(f, "text_config", "hidden_size"),
    "a wide tower": lambda f, s, e: change(
        f / "config.json", vision_config__hidden_size=49_152, vision_config__num_hidden_layers=400
    ),
    "words": lambda f, s, e: huge(f, "text_config", "vocab_size", 10_000_000),
    "heads": lambda f, s, e: huge(f, "text_config", "num_attention_heads", 0),
    "half a head": lambda f, s, e: huge(f, "text_config", "num_attention_heads", 0.5),
    "patches": lambda f, s, e: huge(f, "vision_config", "patch_size", 0),
    "patches larger than images": lambda f, s, e: huge(f, "vision_config", "patch_size", 999),
    "image": lambda f, s, e: huge(f, "vision_config", "image_size", 10**9),
    "channels": lambda f, s, e: huge(f, "vision_config", "num_channels", 1),
    "positions": lambda f, s, e: huge(f, "text_config", "max_position_embeddings"),
    "activation": lambda f, s, e: huge(f, "text_config", "hidden_act", f"evil.{e}"),
    "activation is a dictionary": lambda f, s, e: huge(f, "text_config", "hidden_act", {"a": 1}),
    "nan": lambda f, s, e: huge(f, "text_config", "layer_norm_eps", float("nan")),
    "no epsilon": lambda f, s, e: huge(f, "text_config", "layer_norm_eps", -1.0),
    "a part is a list": lambda f, s, e: change(f / "config.json", text_config=[1]),
    "a part is a path": lambda f, s, e: change(f / "config.json", vision_config=str(e)),
    "size of a crop": lambda f, s, e: change(f / "preprocessor_config.json", size={"height": 10**9, "width": 10**9}),
    "length": lambda f, s, e: change(f / "tokenizer_config.json", model_max_length=10**30),
    "words of elsewhere": lambda f, s, e: change(
        f / "tokenizer_config.json", vocab_file=str(e / "vocab.json"), tokenizer_file=str(e / "tokenizer.json")
    ),
    "pickle": lambda f, s, e: pickled(f, s),
    "old pickle": lambda f, s, e: pickled(f, s, _use_new_zipfile_serialization=False),
    "config without end": lambda f, s, e: linked(f, "config.json", "/dev/zero"),
    "processor without end": lambda f, s, e: linked(f, "preprocessor_config.json", "/dev/zero"),
    "vocabulary without end": lambda f, s, e: linked(f, "tokenizer.json", "/dev/zero"),
    "config is a pipe": lambda f, s, e: pipe(f, "config.json"),
    "processor is a pipe": lambda f, s, e: pipe(f, "preprocessor_config.json"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {kind: write(root / kind) for kind, write in WRITERS.items()}


@pytest.fixture(scope="module", params=WRITERS)
def good(request, written):
    return build_backbone(f"local-dir:{written[request.param]}"), written[request.param]


@pytest.mark.parametrize("case", HOSTILE)
def test_a_folder_is_refused_in_a_sentence_or_gives_the_same_features(good, case, tmp_path, sentinel):
    expected, source = good
    folder, elsewhere = shutil.copytree(source, tmp_path / "model"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for place in (folder, elsewhere):
        (place / "evil.py").write_text(sentinel.code + CODE)
    HOSTILE[case](folder, sentinel, elsewhere)
    try:
        found = build_backbone(f"local-dir:{folder}")
    except UserError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
    else:
        assert found.fingerprint() == expected.fingerprint() and found.image_input == expected.image_input
        assert torch.equal(found.encode_text(["a brain"]), expected.encode_text(["a brain"]))


def test_the_fixtures_see_what_they_should(written, tmp_path, sentinel):
    """The library itself runs such code where it is told to; the test would fail if it were not."""
    folder = shutil.copytree(written["clip"], tmp_path / "model")
    (folder / "evil.py").write_text(sentinel.code + CODE)
    change(folder / "config.json", auto_map=MAPS, model_type="evil")
    with contextlib.suppress(Exception):
        transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert sentinel.path.exists()
    sentinel.path.unlink()


def test_what_is_left_out_is_said(written, tmp_path, capsys):
    folder = shutil.copytree(written["siglip"], tmp_path / "model")
    build_backbone(f"local-dir:{folder}")
    assert "Left out" not in capsys.readouterr().out
    change(folder / "config.json", text_config__quantization_config={"a": 1}, auto_map={})
    build_backbone(f"local-dir:{folder}")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"Left out of {folder}/config.json, as it is not needed or not known here: {key}."
        for key in ('"auto_map"', '"quantization_config"')
    ]


def test_weights_are_not_unpickled(written, tmp_path, sentinel):
    for kind, folder in written.items():
        copy = shutil.copytree(folder, tmp_path / kind)
        weights = load_file(copy / "model.safetensors")
        (copy / "model.safetensors").unlink()
        torch.save(weights | {"more": sentinel}, copy / "pytorch_model.bin")
        with pytest.raises(UserError, match="it holds pickled objects, which are not loaded because they can run code"):
            build_backbone(f"local-dir:{copy}")
