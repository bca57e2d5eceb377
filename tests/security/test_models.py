"""A model's folder is read and never run, whoever made it and whichever command opens it."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

import train
from checkouts.hub_cache import BIOMEDCLIP
from checkouts.stand_in import stand_in
from clip import build_backbone
from clip.files import WEIGHTS, Folder
from clip.known_keys import SPECIAL_TOKENS, TEXT_TOWER, TOKENIZER_CONFIG, TOKENIZER_KWARGS
from clip.sanitize import VOCABULARIES, write_text_files
from dassl.errors import UserError
from reproduce import diagnose
from runs.config import configure

SOURCE = Path(__file__).parents[2] / "clip" / "phantomclip"
SAFE, PICKLED = WEIGHTS
CODE = """
from transformers import BertConfig, BertModel, BertTokenizer


class Tok(BertTokenizer):
    pass


class Config(BertConfig):
    model_type = "evil"


class Model(BertModel):
    pass
"""

pytestmark = [pytest.mark.usefixtures("sentinel", "no_network", "no_stdin")]


def change(path: Path, **values) -> None:
    """Set keys of a JSON file; `__` leads into a dictionary within it, and ... takes a key away."""
    content = json.loads(path.read_text())
    for name, value in values.items():
        *parts, last = name.split("__")
        node = content
        for part in parts:
            node = node.setdefault(part, {})
        node[last] = value
        if value is ...:
            del node[last]
    path.write_text(json.dumps(content))


def own_tokenizer(folder: Path, reference: str = "evil.Tok") -> None:
    """A tokenizer whose class is in the folder's own code."""
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [reference, None]}, tokenizer_class="Tok")


def own_config(folder: Path, reference: str = "evil") -> None:
    """A text tower whose classes are in the folder's own code."""
    auto_map = {"AutoConfig": f"{reference}.Config", "AutoModel": f"{reference}.Model"}
    change(folder / "config.json", auto_map=auto_map | {"AutoTokenizer": [f"{reference}.Tok", None]}, model_type="evil")


def asks_for_trust(folder: Path, name: str, own=own_tokenizer) -> None:
    change(folder / "open_clip_config.json", **{f"model_cfg__text_cfg__{name}": {"trust_remote_code": True}})
    own(folder)


def vision(folder: Path, name: str, **text) -> None:
    """timm's weights from elsewhere, where timm calls that pretrained."""
    keys = {"timm_model_name": name, "timm_model_pretrained": True, "image_size": 32}
    change(folder / "open_clip_config.json", model_cfg__vision_cfg=keys, **text)


def pickled(folder: Path, sentinel, path: Path | None = None, **options) -> None:
    (folder / SAFE).unlink()
    torch.save({"state_dict": sentinel}, path or folder / PICKLED, **options)


class Scripted(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def torchscript(folder: Path) -> None:
    (folder / SAFE).unlink()
    torch.jit.save(torch.jit.script(Scripted()), folder / PICKLED)


def special_tokens(folder: Path, **values) -> None:
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]"} | values))


def linked(folder: Path, name: str, target: str | Path) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)


def pipe(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


CONFIG = "open_clip_config.json"
CAUSAL = {"width": 16, "heads": 2, "layers": 1, "vocab_size": 49408, "context_length": 77}
AUTO_MAP = {"AutoTokenizer": ["evil.Tok", None]}
REMOTE = "org/repo--evil"

# What a hostile folder has: (folder, sentinel, a folder elsewhere) -> None.
HOSTILE = {
    "tokenizer_kwargs": lambda f, s, e: asks_for_trust(f, "tokenizer_kwargs"),
    "hf_tokenizer_kwargs": lambda f, s, e: asks_for_trust(f, "hf_tokenizer_kwargs"),
    "tokenizer_kwargs, both": lambda f, s, e: asks_for_trust(f, "tokenizer_kwargs", own_config),
    "tokenizer": lambda f, s, e: own_tokenizer(f),
    "tokenizer elsewhere": lambda f, s, e: own_tokenizer(f, f"{REMOTE}.Tok"),
    "tokenizer of a known class": lambda f, s, e: change(f / "tokenizer_config.json", auto_map=AUTO_MAP),
    "tokenizer without a class": lambda f, s, e: change(
        f / "tokenizer_config.json", auto_map=AUTO_MAP, tokenizer_class=...
    ),
    "old form of auto_map": lambda f, s, e: change(f / "tokenizer_config.json", auto_map=["evil.Tok", None]),
    "config": lambda f, s, e: own_config(f),
    "config elsewhere": lambda f, s, e: own_config(f, REMOTE),
    "config of a known type": lambda f, s, e: change(
        f / "config.json", auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model", **AUTO_MAP}
    ),
    "tokenizer named in config": lambda f, s, e: (
        change(f / "config.json", tokenizer_class="Tok", auto_map=AUTO_MAP),
        change(f / "tokenizer_config.json", tokenizer_class=...),
    ),
    "kernels": lambda f, s, e: change(f / "config.json", attn_implementation="org/kernels", use_kernels=True),
    "kernels, private": lambda f, s, e: change(f / "config.json", _attn_implementation="org/kernels:evil"),
    "quantisation": lambda f, s, e: change(f / "config.json", quantization_config={"quant_method": "evil"}),
    "timm from a folder": lambda f, s, e: vision(f, f"local-dir:{e}"),
    "timm from the hub": lambda f, s, e: vision(f, "hf-hub:org/model"),
    "timm from the hub, old": lambda f, s, e: vision(f, "hf_hub:org/model"),
    "timm from a folder, causal": lambda f, s, e: vision(f, f"local-dir:{e}", model_cfg__text_cfg=CAUSAL),
    "timm from the hub, causal": lambda f, s, e: vision(f, "hf-hub:org/model", model_cfg__text_cfg=CAUSAL),
    "timm pretrained": lambda f, s, e: vision(f, "vit_tiny_patch16_224.augreg_in21k"),
    "timm pretrained, causal": lambda f, s, e: vision(f, "vit_tiny_patch16_224", model_cfg__text_cfg=CAUSAL),
    "pickle": lambda f, s, e: pickled(f, s),
    "old pickle": lambda f, s, e: pickled(f, s, _use_new_zipfile_serialization=False),
    "link to a pickle": lambda f, s, e: (pickled(f, s, e / "weights"), linked(f, PICKLED, e / "weights")),
    "torchscript": lambda f, s, e: torchscript(f),
    "text tower above": lambda f, s, e: change(f / CONFIG, model_cfg__text_cfg__hf_model_name="../evil"),
    "text tower, absolute": lambda f, s, e: change(
        f / CONFIG, model_cfg__text_cfg__hf_model_name=str(e), model_cfg__text_cfg__hf_model_pretrained=True
    ),
    "text tower pretrained": lambda f, s, e: change(f / CONFIG, model_cfg__text_cfg__hf_model_pretrained=True),
    "tokenizer above": lambda f, s, e: change(f / CONFIG, model_cfg__text_cfg__hf_tokenizer_name="../evil"),
    "tokenizer, absolute": lambda f, s, e: change(f / CONFIG, model_cfg__text_cfg__hf_tokenizer_name=str(e)),
    "words from a path": lambda f, s, e: change(
        f / CONFIG, model_cfg__text_cfg=CAUSAL | {"tokenizer_kwargs": {"bpe_path": str(e / "evil.py")}}
    ),
    "tokenizer named among special tokens": lambda f, s, e: special_tokens(f, tokenizer_file=str(e / "tokenizer.json")),
    "config without end": lambda f, s, e: linked(f, "config.json", "/dev/zero"),
    "vocabulary without end": lambda f, s, e: linked(f, "tokenizer.json", "/dev/zero"),
    "configuration is a pipe": lambda f, s, e: pipe(f, "open_clip_config.json"),
    "tokenizer is a pipe": lambda f, s, e: pipe(f, "tokenizer_config.json"),
    "weights are a pipe": lambda f, s, e: pipe(f, SAFE),
}


@pytest.fixture(params=HOSTILE)
def hostile(request, tmp_path, sentinel) -> Path:
    """PhantomCLIP's folder with one thing in it that must not be obeyed, and code beside it."""
    folder, elsewhere = tmp_path / "m" / "model", tmp_path / "m" / "evil"
    shutil.copytree(SOURCE, folder)
    shutil.copytree(SOURCE, elsewhere)
    for place in (folder, elsewhere):
        (place / "evil.py").write_text(sentinel.code + CODE)
    own_config(elsewhere)
    own_tokenizer(elsewhere)
    torch.save({"state_dict": sentinel}, elsewhere / "pytorch_model.bin")
    HOSTILE[request.param](folder, sentinel, elsewhere)
    return folder


def test_a_backbone(hostile):
    good = build_backbone("PhantomCLIP")
    try:
        found = build_backbone(f"local-dir:{hostile}")
    except UserError as error:
        assert str(hostile) in str(error) and "\n" not in str(error)
    else:
        assert found.fingerprint() == good.fingerprint()
        assert torch.equal(found.encode_text(["a ring"]), good.encode_text(["a ring"]))


def test_special_tokens_do_not_name_a_vocabulary_elsewhere(tmp_path, capsys):
    folder, elsewhere = tmp_path / "model", tmp_path / "vocab.txt"
    shutil.copytree(SOURCE, folder)
    (folder / "tokenizer.json").unlink()
    words = (folder / "vocab.txt").read_text(encoding="utf-8")
    elsewhere.write_text(words.replace("\nthe\n", "\nsentinel\n"), encoding="utf-8")
    special_tokens(folder, vocab_file=str(elsewhere))
    found = build_backbone(f"local-dir:{folder}").words().values()
    assert "the" in found and "sentinel" not in found
    assert 'special_tokens_map.json, as it is not needed or not known here: "vocab_file"' in capsys.readouterr().out


@pytest.mark.parametrize("key", sorted(key for key in TEXT_TOWER if key.endswith("_layers")))
def test_a_text_tower_of_layers_without_number_is_not_begun(key, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", key: 10**12}))
    with pytest.raises(UserError, match=rf"the configuration\.{key} of .* a whole number of at most 500, but got"):
        write_text_files(Folder(tmp_path), {"hf_model_name": "org/text"}, tmp_path)


def test_what_the_libraries_are_given(hostile, monkeypatch):
    """Each guard for itself, although the others would still hold."""
    from clip.families.open_clip_models import model as module

    calls, broken = [], []  # `build_backbone` turns what is raised there into a sentence of its own

    def tokenizer(folder, **kwargs) -> None:
        assert kwargs.pop("trust_remote_code") is False and kwargs.pop("local_files_only") is True
        assert kwargs.keys() <= {*TOKENIZER_KWARGS, "context_length"}
        assert {path.name for path in Path(folder).iterdir()} <= {*VOCABULARIES, "tokenizer_config.json", "config.json"}
        known_keys = {"tokenizer_config.json": TOKENIZER_CONFIG, "config.json": TEXT_TOWER}
        for name, known in (known_keys | {"special_tokens_map.json": SPECIAL_TOKENS}).items():
            path = Path(folder) / name
            assert not path.exists() or set(json.loads(path.read_text())) <= known

    def model(**config) -> None:
        vision_cfg, text_cfg = config["vision_cfg"], config["text_cfg"]
        assert not vision_cfg.get("timm_model_pretrained") and text_cfg["hf_model_pretrained"] is False
        assert ":" not in (vision_cfg.get("timm_model_name") or "")
        assert "hf_model_name" not in text_cfg or Path(text_cfg["hf_model_name"]).parent == Path(tempfile.gettempdir())

    def watched(real, check):
        def call(*args, **kwargs):
            calls.append(real)
            try:
                check(*args, **kwargs)
            except AssertionError as error:
                broken.append(error)
            return real(*args, **kwargs)

        return call

    for name, check in (("HFTokenizer", tokenizer), ("CustomTextCLIP", model), ("CLIP", model)):
        monkeypatch.setattr(module, name, watched(getattr(module, name), check))
    build_backbone("PhantomCLIP")
    assert len(calls) == 2
    with contextlib.suppress(UserError):
        build_backbone(f"local-dir:{hostile}")
    assert not broken


def test_a_run(hostile, flags, tmp_path, capsys):
    code = train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0, backbone=f"local-dir:{hostile}"))
    said = capsys.readouterr()
    assert code == 0 or (code == 1 and str(hostile) in said.err and "Traceback" not in said.err + said.out)


def test_a_model_that_stands_in_for_another_on_the_hub(hostile):
    """A checkout reads it by whatever its own libraries do; here by all that the installed ones can be told to do."""
    with contextlib.suppress(UserError), stand_in(f"local-dir:{hostile}"):
        obey(hostile)


def obey(folder: Path) -> None:
    import open_clip
    from huggingface_hub import constants, hf_hub_download
    from transformers import AutoConfig, AutoTokenizer

    torch.load(hf_hub_download(BIOMEDCLIP, PICKLED), weights_only=False)  # as open_clip before 2.30
    place = Path(hf_hub_download(BIOMEDCLIP, "open_clip_config.json")).parent
    assert Path(constants.HF_HUB_CACHE) in place.parents and not list(place.glob("*.py"))
    with contextlib.suppress(Exception):  # whether the towers are BiomedCLIP's is not asked here
        open_clip.create_model_from_pretrained(f"local-dir:{place}")
    for each in (open_clip.get_tokenizer, lambda place: AutoConfig.from_pretrained(place.removeprefix("local-dir:"))):
        with contextlib.suppress(OSError, ValueError):
            each(f"local-dir:{place}")
    with contextlib.suppress(OSError, ValueError):
        AutoTokenizer.from_pretrained(place, trust_remote_code=True)


@pytest.fixture
def received(tmp_path, data_root):
    """`received(backbone)`: a run's folder from elsewhere that wants its own model, data and store."""

    def make(backbone: str) -> Path:
        line = f"--root {tmp_path / 'data'} --backbone {backbone} --trainer vMFCoOp --dataset btmri --shots 1"
        opts = ["FEATURES.ROOT", str(tmp_path / "store"), "RESUME", str(tmp_path), "DATALOADER.NUM_WORKERS", "-3"]
        cfg = configure(train.parse([*line.split(), *opts]))
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "config.yaml").write_text(cfg.dump())
        return folder

    return make


def test_a_received_run_with_a_model_that_the_user_names(hostile, received, data_root, capsys):
    name = f"local-dir:{hostile}"
    assert diagnose.main([str(received(name)), "--backbone", name, "--root", str(data_root)]) == 1
    said = capsys.readouterr().err
    assert str(hostile) in said or "Expected a finished run" in said


def test_a_received_run_does_not_choose_models_data_or_folders(sentinel, received, data_root, tmp_path, capsys):
    model = shutil.copytree(SOURCE, tmp_path / "model")
    (model / "evil.py").write_text(sentinel.code + CODE)
    own_tokenizer(model)
    run = str(received(f"local-dir:{model}"))
    for more, asked in (
        ([], f'Expected --backbone, because {run} was made with "local-dir:{model}"'),
        (["--backbone", "PhantomCLIP"], f'Expected --root, because {run} was made with "{tmp_path}/data"'),
        (["--backbone", "PhantomCLIP", "--root", str(data_root)], "Expected a finished run"),
    ):
        assert diagnose.main([run, *more]) == 1
        assert asked in capsys.readouterr().err
    assert not (tmp_path / "store").exists() and not (tmp_path / "data").exists()


HOSTILE_SETTINGS = {
    "an unknown key": "EVIL: 1",
    "a key within": "OPTIM: {EVIL: 1}",
    "another kind": "OPTIM: {LR: [1, 2]}",
    "a list": "- OPTIM",
    "a word": "OPTIM",
    "an object": "SEED: !!python/object/apply:os.system ['true']",
    "an expression": f"SEED: '{'-' * 100_000}1'",
    "brackets": f"SEED: '{'(' * 100_000}'",
    "aliases": "a: &a [1, 2]\n"
    + "\n".join(f"{n}: &{n} [*{p}, *{p}]" for p, n in zip("abcdefghijklmnopqr", "bcdefghijklmnopqrs", strict=True)),
    "a bank elsewhere": "PROMPTS: {LLM: ../../evil}",
}


@pytest.mark.parametrize("text", HOSTILE_SETTINGS.values(), ids=HOSTILE_SETTINGS)
def test_a_received_configuration_that_is_none_is_a_sentence(text, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(text)
    assert diagnose.main([str(tmp_path), "--backbone", "PhantomCLIP", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: Expected") and said.count("\n") == 1 and str(tmp_path) in said


def test_a_received_configuration_is_not_read_through_a_link(tmp_path, capsys):
    (tmp_path / "private.yaml").write_text("SECRET: 1")
    (tmp_path / "config.yaml").symlink_to(tmp_path / "private.yaml")
    assert diagnose.main([str(tmp_path)]) == 1
    assert "is a symbolic link" in capsys.readouterr().err
