"""Files of published weights that are missing, damaged, too many, or not what their names say: one sentence each."""

import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from clip import build_backbone, families, testing
from clip.build import files_of
from clip.families.open_clip_models.checkpoint import read_weights
from clip.families.open_clip_models.published import ACCEPTED, CONFIG
from clip.testing.published import build_model, bundled, narrow, write_archive
from clip.weights import read_tensors
from dassl.errors import UserError
from tests.clip.published_models import (
    BERT,
    bare_machine,
    features,
    narrow_configs,
    ours,
    plain,
    write_cache,
    write_weights,
)

VIT, RN50 = "PubMedCLIP_ViT32.pth", "PubMedCLIP_RN50.pth"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> Path:
    bare_machine(tmp_path, monkeypatch)
    narrow_configs(tmp_path / "configs", monkeypatch)
    return tmp_path


@pytest.fixture
def file(machine) -> Path:
    """PubMedCLIP's file of weights, alone in a folder."""
    return write_weights("PubMedCLIP", machine / "model")


def fails(backbone: Path | str, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        build_backbone(backbone if isinstance(backbone, str) else f"local-dir:{backbone}")
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------- which file is meant


def test_several_models_in_a_folder_ask_for_the_file(file, machine, monkeypatch):
    write_weights("PubMedCLIP-RN50", machine / "other").rename(file.parent / RN50)
    fails(
        file.parent,
        rf"the weights of one model in {file.parent}, but it has .*{VIT}.*: name the file, as in local-dir:",
    )
    assert build_backbone(f"local-dir:{file}").image_size == 32
    assert build_backbone(f"local-dir:{file.parent / RN50}").image_size == 64
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(machine))
    (machine / "PubMedCLIP-RN50").symlink_to(file.parent)
    assert build_backbone("PubMedCLIP-RN50").image_size == 64


def test_a_published_name_is_read_by_open_clip_whatever_lies_beside_it(file, monkeypatch):
    """BiomedCoOp keeps PubMedCLIP's file and the three of PMC-CLIP, another family, in one folder."""
    greedy = SimpleNamespace(NAMES={}, recognises=lambda place: True)
    ours_alone = families.families()[families.GENERAL]
    monkeypatch.setattr(families, "families", lambda: {"greedy": greedy, families.GENERAL: ours_alone})
    assert families.find_family(f"local-dir:{file}", f"local-dir:{file}") is ours_alone
    assert families.find_family(f"local-dir:{file.parent}", f"local-dir:{file.parent}") is greedy


def test_a_short_name_asks_for_its_own_file(file, machine):
    (machine / "weights").mkdir()
    file.parent.rename(machine / "weights" / "PubMedCLIP-RN50")
    fails("PubMedCLIP-RN50", rf"Expected {RN50} in .*/PubMedCLIP-RN50, but it holds {VIT}")


def test_a_file_of_an_unknown_name_asks_for_a_configuration(file):
    unknown = file.rename(file.with_name("epoch_10.pt"))
    fails(unknown, rf"Expected {CONFIG} beside {unknown}, or one of the names .*{VIT}.* but got neither")
    fails(file.parent, rf"Expected {CONFIG} in {file.parent}, but it holds epoch_10\.pt")
    shutil.copy(file.parents[1] / "configs/ViT-B-32-quickgelu.json", file.parent / CONFIG)
    assert build_backbone(f"local-dir:{unknown}").embed_dim == 24


def test_a_configuration_beside_the_weights_wins(file):
    with_quick_gelu = build_backbone(f"local-dir:{file}")
    config = narrow(bundled("ViT-B-32-quickgelu"))
    config["model_cfg"]["quick_gelu"] = False
    (file.parent / CONFIG).write_text(json.dumps(config))
    found = build_backbone(f"local-dir:{file}")
    theirs = features(plain("PubMedCLIP", quick_gelu=False), open_clip.tokenize(["a", "b", "c"]), 32)
    assert torch.allclose(ours(found)[:2], theirs[:2], atol=1e-5)
    assert not torch.allclose(ours(found), ours(with_quick_gelu), atol=1e-3)
    assert build_backbone(f"local-dir:{file.parent}").fingerprint() == found.fingerprint()


def test_several_published_files_beside_one_configuration_are_too_many(file):
    shutil.copy(file, file.with_name("BMC_CLIP_CF.pt"))
    (file.parent / CONFIG).write_text(json.dumps(narrow(bundled("ViT-B-32-quickgelu"))))
    fails(file.parent, r"the weights of one model in")


@pytest.mark.parametrize("first", range(len(ACCEPTED)))
def test_names_that_open_clip_accepts_are_read_in_its_order(machine, first):
    """The first name that is there is read: those behind it hold other weights."""
    folder, config = machine / "model", narrow(bundled("ViT-B-16-quickgelu"))
    folder.mkdir()
    (folder / CONFIG).write_text(json.dumps(config))
    state = {key: tensor.contiguous() for key, tensor in build_model(config).state_dict().items()}
    for i, name in enumerate(ACCEPTED[first:]):
        tensors = state | {"logit_scale": torch.tensor(float(i))}
        (save_file if name.endswith(".safetensors") else torch.save)(tensors, folder / name)
    assert build_backbone(f"local-dir:{folder}").logit_scale == 1.0


# ------------------------------------------------------------------------------------------------------- what is in it


@pytest.mark.parametrize("change", ["missing", "extra", "another model"])
def test_weights_that_do_not_fit_are_named(file, change):
    content = torch.load(file, weights_only=True)
    if change == "missing":
        del content["state_dict"]["visual.proj"]
    elif change == "extra":
        content["state_dict"]["visual.more"] = torch.zeros(1)
    else:
        content["state_dict"]["text_projection"] = torch.zeros(32, 25)
    torch.save(content, file)
    key = {"missing": "visual.proj", "extra": "visual.more", "another model": "text_projection"}[change]
    fails(file, rf"the weights of {file} to fit .*ViT-B-32-quickgelu\.json, but: .*{key}")


@pytest.mark.parametrize("name", ["PubMedCLIP_ViT32.pth", "ViT-B-32.pt"])
@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"<html>404</html>", "half"])
def test_damaged_files_are_named(file, name, content):
    path = file.with_name(name)
    if name == "ViT-B-32.pt":
        write_archive(path, plain("CLIP-B32").state_dict())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == "half" else content)
    fails(path, rf"Expected weights in {path}, but it is ")


def test_a_tensor_that_is_larger_than_its_file_is_not_unfolded(file):
    """As of a few bytes, which the model would copy into all memory there is."""
    content = torch.load(file, weights_only=True)
    content["state_dict"]["token_embedding.weight"] = torch.zeros(1, 1, dtype=torch.half).expand(10**9, 32)
    torch.save(content, file)
    fails(file, rf"Expected all numbers of token_embedding\.weight \[1000000000, 32\] in {file}, but the file has less")
    torch.save({"w": torch.zeros(1).expand(10**9)}, file)
    with pytest.raises(UserError, match=r"Expected all numbers of w \[1000000000\] in "):
        read_tensors(file)
    torch.save({"w": torch.sparse_coo_tensor(size=(10**9,), check_invariants=True)}, file)
    with pytest.raises(UserError, match=r"Expected all numbers of w \[1000000000\] in "):
        read_tensors(file)


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {}, {"state_dict": [1]}, {"state_dict": {}}, {"w": 1.0}])
def test_no_dictionary_of_tensors(file, content):
    torch.save(content, file)
    fails(file, rf"Expected weights in {file}, but it holds no dictionary of tensors: save a state_dict\.$")


def test_positions_of_another_size_are_interpolated_and_told(file, capsys):
    config = narrow(bundled("ViT-B-32-quickgelu"))
    config["model_cfg"]["vision_cfg"]["image_size"] = 64
    (file.parent / CONFIG).write_text(json.dumps(config))
    assert build_backbone(f"local-dir:{file}").image_size == 64
    assert capsys.readouterr().out == f"visual.positional_embedding of {file} is interpolated from 5 to 17 places.\n"


@pytest.mark.parametrize("module", [b"numpy._core", b"numpy.core"])  # of NumPy 2, and of NumPy 1 as published
def test_numbers_of_numpy_are_read_over(machine, module):
    kinds = (np.float64, np.float32, np.int64, np.bool_, np.float16)
    torch.save({"state_dict": {"w": torch.ones(2)}, "lr": [kind(1) for kind in kinds]}, machine / "new.pt")
    with zipfile.ZipFile(machine / "new.pt") as new, zipfile.ZipFile(machine / "w.pt", "w") as old:
        for info in new.infolist():
            old.writestr(info.filename, new.read(info).replace(b"numpy._core", module))
    assert torch.equal(read_weights(machine / "w.pt")["w"], torch.ones(2))
    torch.save({"w": torch.ones(2), "lr": np.float64(1)}, machine / "w.pt")
    with pytest.raises(UserError, match="no dictionary of tensors"):
        read_weights(machine / "w.pt")


def test_prefixes_are_taken_away(machine):
    state = {"module.text_encoder.proj.0.weight": torch.ones(1), "module.visual.proj": torch.ones(1)}
    torch.save({"state_dict": state}, machine / "w.pt")
    assert set(read_weights(machine / "w.pt")) == {"text.proj.0.weight", "visual.proj"}


# ------------------------------------------------------------------------------------------------------------ archives


def test_a_plain_state_dict_under_the_name_of_an_archive_loads_too(machine):
    state = plain("CLIP").state_dict()
    folder = machine / "home/.cache/clip"
    folder.mkdir(parents=True)
    torch.save(state, folder / "ViT-B-16.pt")
    one = build_backbone("CLIP")
    assert torch.allclose(ours(one)[:2], features(plain("CLIP"), open_clip.tokenize(["a"] * 3), 32)[:2], atol=1e-5)


def test_the_archive_that_openai_published_says_nothing(machine, monkeypatch, capsys):
    from hashlib import sha256

    from clip.families.open_clip_models import archives

    path = write_archive(machine / "RN50.pt", plain("CLIP-RN50").state_dict(), image_size=64)
    build_backbone(f"local-dir:{path}")
    assert capsys.readouterr().out.count("its SHA256 differs") == 1
    monkeypatch.setitem(archives.ARCHIVES, "RN50.pt", sha256(path.read_bytes()).hexdigest())
    build_backbone(f"local-dir:{path}")
    assert capsys.readouterr().out == ""


def test_an_archive_of_another_model_does_not_fit(machine):
    path = write_archive(machine / "ViT-B-16.pt", plain("CLIP-RN50").state_dict())
    fails(path, rf"the weights of {path} to fit .*ViT-B-16-quickgelu\.json, but: .*visual\.")


# ------------------------------------------------------------------------------------------------ text tower, tokenizer


def test_quiltnet_with_biomedbert_has_an_old_name_and_a_config_of_both_towers(machine):
    """A full config.json of BERT is not in its repository: ours stands for it under both of BERT's names."""
    from clip import sanitize

    folder = testing.write_model("QuiltNet-PMB", machine / "weights/QuiltNet-PMB", small=True)
    one = build_backbone("QuiltNet-PMB")
    place = machine / "texts/BiomedNLP-BiomedBERT-base-uncased-abstract"
    place.mkdir(parents=True)
    shutil.move(folder / "config.json", place / "config.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sanitize, "BUNDLED", machine / "texts")
        assert build_backbone("QuiltNet-PMB").fingerprint() == one.fingerprint()
        (folder / "config.json").write_text(json.dumps({"model_type": "clip", "text_config": {"hidden_size": 9}}))
        assert build_backbone("QuiltNet-PMB").fingerprint() == one.fingerprint()


def test_a_configuration_with_older_keys_gives_the_same_model(machine):
    folder = testing.write_model("QuiltNet-PMB", machine / "model", small=True)
    one = build_backbone(f"local-dir:{folder}")
    config = json.loads((folder / CONFIG).read_text())
    text = config["model_cfg"]["text_cfg"]
    text["proj"], text["pooler_type"] = text.pop("hf_proj_type"), text.pop("hf_pooler_type")
    (folder / CONFIG).write_text(json.dumps(config))
    assert build_backbone(f"local-dir:{folder}").fingerprint() == one.fingerprint()


def test_heads_of_a_text_tower_and_words_that_swap_places_give_another_fingerprint(machine):
    """No weight tells of them, nor does the text that tells tokenizers apart have these words; features differ."""
    folder = testing.write_model("QuiltNet-PMB", machine / "model", small=True)
    text, words = json.loads((folder / "config.json").read_text()), (folder / "vocab.txt").read_text().split("\n")
    first, second = words.index("glioma"), words.index("brain")
    swapped = [words[{first: second, second: first}.get(i, i)] for i in range(len(words))]
    found, features = set(), []
    for heads, vocabulary, drop in ((4, words, 0.1), (4, words, 0.2), (2, words, 0.1), (4, swapped, 0.1)):
        changed = {"num_attention_heads": heads, "hidden_dropout_prob": drop}
        (folder / "config.json").write_text(json.dumps(text | changed))
        (folder / "vocab.txt").write_text("\n".join(vocabulary))
        backbone = build_backbone(f"local-dir:{folder}")
        found.add(backbone.fingerprint())
        features.append(backbone.encode_text(["glioma, brain"]))
    assert len(found) == 3 and torch.equal(features[0], features[1])
    assert all((features[0] - other).abs().max() > 0.01 for other in features[2:])


def test_all_files_of_a_tokenizer_in_a_folder_count_for_a_run(machine):
    folder = testing.write_model("QuiltNet-PMB", machine / "model", small=True)
    names = {path.name for path in files_of(f"local-dir:{folder}")}
    assert {"config.json", "vocab.txt", "tokenizer_config.json"} < names
    (folder / "merges.txt").write_text("")
    assert folder / "merges.txt" in files_of(f"local-dir:{folder}")


def test_the_tokenizer_of_weights_alone_comes_from_the_cache(machine, capsys):
    file = write_weights("UniMed-CLIP", machine / "model")
    one = build_backbone(f"local-dir:{file}")
    words = machine / "words"
    words.mkdir()
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.move(file.parent / name, words)
    fails(file, rf"Expected .*vocab\.txt.* in {file.parent}, or {BERT} in the hub's cache .*: .*`hf download {BERT} ")
    write_cache(machine, BERT, words)
    capsys.readouterr()
    assert build_backbone(f"local-dir:{file}").fingerprint() == one.fingerprint()
    assert capsys.readouterr().out.startswith(f"The tokenizer of {file.parent} is read from {machine}/hub/")
