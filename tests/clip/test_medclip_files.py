"""MedCLIP's files: unpacked or zipped, damaged, of another model, absent; its tokenizer beside them or on the hub."""

import argparse
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from clip import build_backbone, testing
from clip.build import files_of
from clip.families import families, find_family
from clip.files import locate
from clip.testing import medclip
from dassl.errors import UserError
from dassl.utils.tensor_files import POINTER

FILE, ZIP = "pytorch_model.bin", "medclip-vit-pretrained.zip"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return testing.write_model("MedCLIP", tmp_path_factory.mktemp("whole") / "model", small=True)


@pytest.fixture(scope="module")
def tensors(whole) -> dict[str, torch.Tensor]:
    return torch.load(whole / FILE, weights_only=True)


@pytest.fixture(scope="module")
def fingerprint(whole) -> str:
    return build_backbone(f"local-dir:{whole}").fingerprint()


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """The cache of a machine without network and without files."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("VMFCOOP_WEIGHTS", raising=False)


def fails(source: Path | str, match: str) -> None:
    with pytest.raises(UserError, match=match) as caught:
        build_backbone(source if isinstance(source, str) else f"local-dir:{source}")
    assert "\n" not in str(caught.value)


def pack(folder: Path, *names: str, content: bytes | None = None, name: str = ZIP, **kinds) -> Path:
    """Move the weights of a folder into a zip, under other names."""
    content = (folder / FILE).read_bytes() if content is None else content
    (folder / FILE).unlink(missing_ok=True)
    with zipfile.ZipFile(folder / name, "w", **kinds) as archive:
        for member in names:
            archive.writestr(member, content)
    return folder / name


# --------------------------------------------------------------------------------------------------------------- zipped


@pytest.mark.parametrize("member", [FILE, f"medclip-vit/{FILE}"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zipped_and_unpacked_are_the_same_model(folder, fingerprint, member, compression):
    pack(folder, member, "README.md", compression=compression)
    held = sorted(folder.iterdir())
    assert build_backbone(f"local-dir:{folder}").fingerprint() == fingerprint
    assert sorted(folder.iterdir()) == held  # nothing is unpacked there


def test_a_zip_of_any_name_can_be_given(folder, fingerprint):
    path = pack(folder, FILE, name="renamed.zip")
    assert build_backbone(f"local-dir:{path}").fingerprint() == fingerprint
    assert [file.name for file in files_of(f"local-dir:{path}")] == ["renamed.zip", "vocab.txt"]


def test_a_zip_in_the_weights_folder(folder, fingerprint, monkeypatch):
    pack(folder, FILE)
    folder.rename(folder.parent / "MedCLIP")
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(folder.parent))
    assert build_backbone("MedCLIP").fingerprint() == fingerprint


def test_weights_of_torch_are_no_zip_of_files_whatever_they_are_called(folder, fingerprint):
    (folder / FILE).rename(folder / "weights.zip")
    assert build_backbone(f"local-dir:{folder / 'weights.zip'}").fingerprint() == fingerprint


def test_the_writer_packs(tmp_path, fingerprint):
    folder = medclip.write_medclip(tmp_path / "packed", small=True, packed=ZIP)
    assert not (folder / FILE).exists() and build_backbone(f"local-dir:{folder}").fingerprint() == fingerprint


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["weights.bin"], r"Expected one pytorch_model\.bin in .*\.zip, but it holds 'weights\.bin': download"),
        ([], r"Expected one pytorch_model\.bin in .*\.zip, but it holds nothing: download"),
        ([f"a/{FILE}", f"b/{FILE}"], r"but it holds 'a/pytorch_model\.bin', 'b/pytorch_model\.bin': download"),
        ([f"../{FILE}"], r"its entry '\.\./pytorch_model\.bin' leads out of the folder: it is not read"),
        ([f"/etc/{FILE}"], r"its entry '/etc/pytorch_model\.bin' leads out of the folder: it is not read"),
        ([f"C:/{FILE}"], r"its entry 'C:/pytorch_model\.bin' leads out of the folder: it is not read"),
    ],
)
def test_a_zip_without_one_such_file(folder, names, sentence):
    fails(pack(folder, *names), sentence)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model"]


def test_a_bomb_is_not_unpacked(folder, monkeypatch):
    fails(pack(folder, FILE, content=bytes(1 << 20), compression=zipfile.ZIP_DEFLATED), "more than 100 times its size")
    monkeypatch.setattr("clip.families.medclip.zipped.LIMIT", 1 << 20)
    fails(
        pack(folder, FILE, content=bytes((1 << 20) + 1)), "has 1 MB, more than the 1 that are allowed: it is not read"
    )


@pytest.mark.slow
def test_rare_compression_is_not_unpacked(folder):
    fails(pack(folder, FILE, compression=zipfile.ZIP_LZMA), "is packed in a way that is not read here")


def test_a_damaged_entry(folder):
    path = pack(folder, FILE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    fails(path, r"Expected a sound zip in .*\.zip, but it is not \(.*CRC.*\): download it again\.$")


def test_half_a_zip(folder):
    path = pack(folder, FILE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    fails(path, r"Expected weights in .*\.zip, but it is damaged, cut short or another kind of file")


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_objects_are_not_loaded(folder, tensors, zipped):
    torch.save(tensors | {"args": argparse.Namespace(a=1)}, folder / FILE)
    if zipped:
        path = pack(folder, FILE)
        fails(path, rf"Expected weights in {path}, but it holds pickled objects, which are not loaded")
    else:
        rename(folder)
        fails("MedCLIP", r"pytorch_model\.bin, but it holds pickled objects, which are not loaded")


# ------------------------------------------------------------------------------------------------------------- unpacked


@pytest.fixture(autouse=True)
def weights_root(tmp_path, monkeypatch):
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(tmp_path))


def rename(folder: Path, name: str = "MedCLIP") -> None:
    """Let a folder be the one in which a short name is looked for."""
    folder.rename(folder.parent / name)


@pytest.mark.parametrize("content", [b"", POINTER + b"/spec/v1\n", b"<html>404</html>" * 99, "half"])
def test_a_damaged_file(folder, content):
    whole = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    rename(folder)
    fails("MedCLIP", r"Expected weights in .*/MedCLIP/pytorch_model\.bin, but it is (empty|a Git LFS|damaged)")


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {}, {"logit_scale": 2.66}])
def test_no_dictionary_of_tensors(folder, content):
    torch.save(content, folder / FILE)
    rename(folder)
    fails("MedCLIP", r"pytorch_model\.bin, but it holds no dictionary of tensors: save a state_dict\.$")


@pytest.mark.parametrize(
    "name",
    [
        "logit_scale",
        "text_model.projection_head.weight",
        "text_model.model.embeddings.word_embeddings.weight",
        "text_model.model.encoder.layer.3.output.dense.bias",
        "vision_model.projection_head.weight",
        "vision_model.model.embeddings.patch_embeddings.projection.weight",
        "vision_model.model.layernorm.weight",
        "vision_model.model.encoder.layers.1.blocks.1.attention.self.relative_position_bias_table",
    ],
)
def test_a_missing_tensor_is_named(folder, tensors, name):
    torch.save({key: tensor for key, tensor in tensors.items() if key != name}, folder / FILE)
    rename(folder)
    last = name.rsplit(".", 2 if name.endswith("bias") else 1)[-1]
    fails("MedCLIP", rf"and no others in .*/MedCLIP/pytorch_model\.bin, but it lacks .*{last}: download")


@pytest.mark.parametrize(
    "name", ["extra", "text_model.model.extra.weight", "vision_model.model.extra", "vision_model.projection_head.bias"]
)
def test_a_tensor_too_many_is_named(folder, tensors, name):
    torch.save(tensors | {name: torch.zeros(64)}, folder / FILE)
    fails(folder, rf"but it has, unknown here, {name}: download the file again")


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("text_model.model.encoder.layer.0.output.dense.bias", (7,), r"text_model\.model\.\* of .* size mismatch"),
        ("vision_model.model.layernorm.weight", (7,), r"layernorm\.weight in .* to be \[128\], .* but got \[7\]"),
        ("text_model.projection_head.weight", (9, 128), "64 dimensions for images and 9 for texts"),
        ("text_model.model.embeddings.word_embeddings.weight", (28_996,), "their shapes make no model"),
        ("logit_scale", (2,), "their shapes make no model"),
    ],
)
def test_shapes_that_do_not_fit(folder, tensors, name, shape, sentence):
    torch.save(tensors | {name: torch.zeros(shape)}, folder / FILE)
    fails(folder, sentence)


def test_half_precision_gives_numbers_of_32_bits(folder, tensors):
    torch.save({name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}, folder / FILE)
    assert {p.dtype for p in build_backbone(f"local-dir:{folder}").parameters()} == {torch.float32}


def test_the_other_variant_is_named(folder):
    rename(folder, "MedCLIP-RN50")
    fails(
        "MedCLIP-RN50", "are those of MedCLIP: give MedCLIP as the backbone, or bring https://.*/medclip-pretrained.zip"
    )


def test_nothing_there_says_what_to_download(tmp_path, no_network):
    fails("MedCLIP", r"curl -LO https://storage\.googleapis\.com/pytrial/medclip-vit-pretrained\.zip.*VMFCOOP_WEIGHTS")
    fails("MedCLIP-RN50", r"https://storage\.googleapis\.com/pytrial/medclip-pretrained\.zip")


def test_an_empty_folder_says_what_to_download(tmp_path):
    (tmp_path / "MedCLIP").mkdir()
    fails("MedCLIP", rf"Expected pytorch_model\.bin or {ZIP} in {tmp_path}/MedCLIP, but there is none: .*curl -LO http")


# ------------------------------------------------------------------------------------------------------------- families


def test_only_medclip_is_recognised(folder, tensors):
    ours = families()["medclip"]
    assert find_family(f"local-dir:{folder}", f"local-dir:{folder}") is ours
    clip_names = {name.replace("vision_model.model.", "vision_model."): tensor for name, tensor in tensors.items()}
    flair = {name.replace("projection_head", "projection_head_text"): tensor for name, tensor in tensors.items()}
    for others in (clip_names, flair, {"state_dict": tensors}):
        torch.save(others, folder / FILE)
        assert not ours.recognises(locate(f"local-dir:{folder}"))
    (folder / FILE).write_bytes(b"no weights")
    assert not ours.recognises(locate(f"local-dir:{folder}"))


# ------------------------------------------------------------------------------------------------------------ tokenizer


def test_words_come_from_the_hub_if_there_are_none_beside_the_weights(
    folder, fingerprint, no_network, tmp_path, capsys
):
    repo = tmp_path / "hub/models--emilyalsentzer--Bio_ClinicalBERT"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text("0" * 40)
    (repo / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (folder / "vocab.txt").rename(words := repo / "snapshots" / ("0" * 40) / "vocab.txt")
    assert build_backbone(f"local-dir:{folder}").fingerprint() == fingerprint
    assert f"in the words of {words};" in capsys.readouterr().out


def test_no_words_say_what_to_bring(folder, no_network):
    (folder / "vocab.txt").unlink()
    fails(
        folder,
        r"hf download emilyalsentzer/Bio_ClinicalBERT vocab\.txt --local-dir \.`, and put the file into .*/model",
    )


def test_a_tokenizer_json_gives_its_words_alone(folder, fingerprint):
    """Whatever it says of letters: texts are lower-cased."""
    words = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").unlink()
    kept = {"model": {"vocab": {word: i for i, word in reversed(list(enumerate(words)))}}, "normalizer": None}
    (folder / "tokenizer.json").write_text(json.dumps(kept))
    assert build_backbone(f"local-dir:{folder}").fingerprint() == fingerprint


def test_nothing_else_beside_the_weights_is_read(folder, fingerprint):
    evil = {"do_lower_case": False, "auto_map": {"AutoTokenizer": ["evil.Tok", None]}, "tokenizer_class": "Tok"}
    (folder / "tokenizer_config.json").write_text(json.dumps(evil))
    (folder / "config.json").write_text(json.dumps({"model_type": "swin", "auto_map": {"AutoModel": "evil.Model"}}))
    (folder / "evil.py").write_text("raise SystemExit")
    assert build_backbone(f"local-dir:{folder}").fingerprint() == fingerprint


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("vocab.txt", POINTER + b"\n", "Expected a tokenizer in .* Git LFS"),
        ("vocab.txt", b"\xff\xfe\x00", "Expected a tokenizer's words in .*vocab.txt, but they cannot be read"),
        ("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", r"Expected the 28,996 words .*vocab\.txt, but it has 5"),
        ("tokenizer.json", b"{}", r"tokenizer\.json, but it has none under model\.vocab"),
        ("tokenizer.json", b'{"model": {"vocab": 7}}', r"tokenizer\.json, but it has none under model\.vocab"),
        ("tokenizer.json", b'{"model": {"vocab": {"\\ud800": 0}}}', r"tokenizer\.json, but it has none under"),
        ("tokenizer.json", b"{", r"Expected JSON in .*tokenizer\.json"),
    ],
)
def test_no_words_of_this_model(folder, name, content, sentence):
    (folder / "vocab.txt").unlink()
    (folder / name).write_bytes(content)
    fails(folder, sentence)
