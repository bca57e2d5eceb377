"""Small models in the layout of transformers' SiglipModel, against that model itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import normalize
from transformers import AutoImageProcessor, SiglipModel

from clip import Tokens, build_backbone
from clip.build import files_of
from clip.families import find_family
from clip.families.transformers_models.sentencepiece import read_spiece
from clip.families.transformers_models.siglip_tokenizer import read_siglip_tokenizer
from clip.files import Folder
from clip.inputs import input_of
from clip.testing import write_model
from clip.testing.transformers_models import siglip_pieces, write_siglip_model, write_siglip_vocabulary
from dassl.errors import UserError
from tests.clip.test_transformers_clip import change, fails, images, misfits
from trainers.base.prompt_learner import PromptLearner

TEXTS = ["a photo of a glioma tumor.", "Normal brain", "an image showing the lungs: a bright mass", ""]
CLOSE = 1e-5
OTHER = {  # not even both towers are alike
    "text_config": {"hidden_size": 48, "num_attention_heads": 3, "num_hidden_layers": 3, "projection_size": 40},
    "vision_config": {"hidden_size": 40, "num_attention_heads": 2, "patch_size": 20, "image_size": 80},
}
OTHER["text_config"] |= {"hidden_act": "gelu", "layer_norm_eps": 1e-2, "max_position_embeddings": 20}
OTHER["vision_config"] |= {"hidden_act": "gelu", "layer_norm_eps": 1e-3}
KINDS = {"spiece": {}, "json": {"vocabulary": "tokenizer.json"}, "other": OTHER}
PROCESSOR = "preprocessor_config.json"


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("siglip")
    return {kind: write_siglip_model(root / kind, True, **json.loads(json.dumps(KINDS[kind]))) for kind in KINDS}


@pytest.fixture(scope="module", params=KINDS)
def folder(request, folders) -> Path:
    return folders[request.param]


@pytest.fixture(scope="module")
def backbone(folder):
    return build_backbone(f"local-dir:{folder}")


@pytest.fixture(scope="module")
def medsiglip(folders):
    return build_backbone(f"local-dir:{folders['spiece']}")


@pytest.fixture
def copied(folders, tmp_path) -> Path:
    """A copy of the first folder, which a test may change."""
    return shutil.copytree(folders["spiece"], tmp_path / "model")


def written(texts: list[str], length: int = 64) -> torch.Tensor:
    """Ids [N, length] of texts that are made of whole pieces, by the list of pieces alone."""
    numbers = {word: number for number, (word, _, _) in enumerate(siglip_pieces())}
    split = {"glioma": ["▁gli", "oma"], "meningioma": ["▁men", "ing", "ioma"], "pituitary": ["▁pit", "uit", "ary"]}
    rows = [[numbers[piece] for word in text.split() for piece in split.get(word, [f"▁{word}"])] for text in texts]
    return torch.tensor([[*row, *[numbers["</s>"]] * (length - len(row))] for row in rows])


PIECES = ["a photo of a glioma tumor", "normal brain", "an image showing the lungs a bright mass", ""]


@torch.no_grad()
def reference(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of `TEXTS` and `images`, by transformers alone."""
    model = SiglipModel.from_pretrained(folder).eval()
    ids = written(PIECES, model.config.text_config.max_position_embeddings)
    texts = model.get_text_features(input_ids=ids)
    pictures = model.get_image_features(pixel_values=images(model.config.vision_config.image_size))
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


def test_texts_fill_the_context(backbone):
    ids, mask = backbone.tokenize(TEXTS)
    assert torch.equal(ids, written(PIECES, backbone.context_length)) and mask.all()
    assert backbone.lengths(TEXTS).tolist() == [8, 3, 9, 1]
    assert (backbone.fixed_length, backbone.start_tokens) == (True, 0)


def test_a_trimmed_text_would_be_another(medsiglip):
    ids, mask = medsiglip.tokenize(TEXTS)
    short = Tokens(ids[:, :40], mask[:, :40])
    trimmed = medsiglip.encode_tokens(medsiglip.embed(short.ids), short)
    assert ((trimmed - medsiglip.encode_text(TEXTS)).abs().amax(dim=1) > 1e-2).all()


def test_what_a_backbone_says_of_itself(folders, medsiglip):
    assert (medsiglip.embed_dim, medsiglip.token_dim, medsiglip.context_length) == (64, 64, 64)
    assert medsiglip.logit_scale == pytest.approx(np.exp(4.5))
    assert build_backbone(f"local-dir:{folders['json']}").fingerprint() == medsiglip.fingerprint()
    other = build_backbone(f"local-dir:{folders['other']}")
    assert (other.embed_dim, other.token_dim, other.context_length, other.image_size) == (40, 48, 20, 80)


@pytest.mark.parametrize(
    ("key", "value", "side"),
    [
        ("text_config__num_attention_heads", 2, 0),
        ("text_config__hidden_act", "quick_gelu", 0),
        ("text_config__layer_norm_eps", 0.1, 0),
        ("vision_config__num_attention_heads", 2, 1),
        ("vision_config__hidden_act", "quick_gelu", 1),
    ],
)
def test_another_recipe_gives_other_features(copied, folders, medsiglip, key, value, side):
    """Of the same weights, which do not tell: so the comparison with transformers sees each."""
    change(copied / "config.json", **{key: value})
    other = build_backbone(f"local-dir:{copied}")
    assert difference(other, folders["spiece"])[side] > 1e-4 and max(difference(other, copied)) < CLOSE
    assert other.fingerprint() != medsiglip.fingerprint()


@pytest.mark.parametrize("kind", ["spiece.model", "tokenizer.json"])
def test_texts_are_cleaned_as_for_its_training(folders, tmp_path, kind):
    write_siglip_vocabulary(tmp_path, kind)
    plain = ["a photo of a brain", "lungs s"]
    for config, texts in (
        ({}, ["  A  photo, of (a)\n brain!", 'Lungs\' "s"']),
        ({"do_lower_case": False}, ["a_photo... of".replace("_", " ") + " a brain?", "lungs - s"]),
        ({"tokenizer_class": "GemmaTokenizer"}, ["A photo of\ta Brain", "LUNGS S"]),
    ):
        change(tmp_path / "tokenizer_config.json", **config)
        tokenizer = read_siglip_tokenizer(Folder(tmp_path), 64)
        assert tokenizer(texts) == tokenizer(plain), config
        assert tokenizer(["a brain"]) != tokenizer(["a lung"])
        change(tmp_path / "tokenizer_config.json", do_lower_case=True)
    with_dots, without = tokenizer(["a brain.", "a brain"])
    assert len(with_dots) > len(without)  # SigLIP 2 sees punctuation
    assert tokenizer.clean("▁A▁b") == "a b"


def test_long_texts_keep_their_end(medsiglip):
    ids = medsiglip.tokenize(["lung " * 100]).ids[0]
    assert ids.shape == (64,) and ids[-1] == medsiglip.tokenizer.end and len(set(ids[:-1].tolist())) <= 5
    assert medsiglip.lengths(["lung " * 100]).tolist() == [64]


def test_the_context_may_be_shorter_than_the_positions(copied):
    change(copied / "tokenizer_config.json", model_max_length=16)
    assert build_backbone(f"local-dir:{copied}").tokenize(TEXTS).ids.shape == (4, 16)


def test_a_vocabulary_in_the_format_of_sentencepiece(tmp_path):
    """The file is read as the description of that format says, which transformers contains."""
    pytest.importorskip("google.protobuf")
    from transformers.utils import sentencepiece_model_pb2_new as described

    model = described.ModelProto()
    for word, score, kind in siglip_pieces():
        model.pieces.add(piece=word, score=score, type=kind)
    model.trainer_spec.model_type = 1
    model.normalizer_spec.name = "identity"
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    tokenizer, special = read_spiece(tmp_path / "spiece.model")
    assert special == {0, 1, 2}
    found = tokenizer.encode("meningioma of the lungs", add_special_tokens=False)
    assert found.tokens == ["▁men", "ing", "ioma", "▁of", "▁the", "▁lungs"]
    assert found.ids == [number for number in written(["meningioma of the lungs"])[0].tolist() if number != 1]
    model.trainer_spec.model_type = 2
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"Expected a unigram model of plain pieces in .* tokenizer\.json"):
        read_spiece(tmp_path / "spiece.model")


def test_pixels_are_those_of_the_image_processor(backbone, folder):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (97, 300, 3), dtype=np.uint8))
    theirs = AutoImageProcessor.from_pretrained(folder, backend="pil")(picture, return_tensors="pt").pixel_values[0]
    assert torch.allclose(backbone.preprocess(picture), theirs, atol=1e-6)
    assert input_of(f"local-dir:{folder}") == backbone.image_input


def test_images_without_processor(copied, folders):
    expected = input_of(f"local-dir:{copied}")
    assert (expected.mean, expected.std, expected.resize_mode) == ((0.5,) * 3, (0.5,) * 3, "squash")
    change(copied / PROCESSOR, resample=2, image_mean=[0.1, 0.2, 0.3])
    assert input_of(f"local-dir:{copied}") == expected._replace(interpolation="bilinear", mean=(0.1, 0.2, 0.3))
    (copied / PROCESSOR).unlink()
    assert input_of(f"local-dir:{copied}") == expected


@pytest.mark.parametrize(
    ("lost", "added", "sentence"),
    [
        ("vision_model.head.probe", None, r"lacks vision_model\.head\.probe"),
        (None, "text_model.other", r"has, unknown here, text_model\.other"),
        (None, "text_model.head.weight", r"size mismatch for text_model\.head\.weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused(copied, lost, added, sentence):
    misfits(copied, lost, added, sentence)


def test_older_weights_have_positions_too(copied, folders):
    weights = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    weights |= {f"{tower}_model.embeddings.position_ids": torch.arange(3)[None] for tower in ("text", "vision")}
    torch.save(weights, copied / "pytorch_model.bin")
    assert max(difference(build_backbone(f"local-dir:{copied}"), folders["spiece"])) < CLOSE


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.safetensors", b"", "it is empty"),
        ("model.safetensors", ..., "Expected model.safetensors or pytorch_model.bin in"),
        ("spiece.model", ..., "Expected tokenizer.json or spiece.model in"),
        ("spiece.model", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("spiece.model", b"<html>404</html>", "Expected a vocabulary of sentencepiece in .* but it is damaged"),
        ("spiece.model", b"", "Expected a vocabulary of sentencepiece in .* but it is damaged"),
        ("tokenizer.json", b"{", "Expected JSON in .*tokenizer.json"),
        ("tokenizer.json", b"{}", "Expected a tokenizer in .*tokenizer.json, but it cannot be read"),
        ("tokenizer_config.json", b"[]", "Expected a dictionary in .*tokenizer_config.json"),
        (
            "tokenizer_config.json",
            b'{"pad_token": "<x>"}',
            'tokenizer_config.json, but it has no word for pad_token "<x>"',
        ),
    ],
)
def test_damaged_files_are_named(copied, name, content, sentence):
    (copied / name).unlink(missing_ok=True)
    if content is not ...:
        (copied / name).write_bytes(content)
    fails(copied, sentence)


def test_half_of_a_vocabulary(copied):
    content = (copied / "spiece.model").read_bytes()
    (copied / "spiece.model").write_bytes(content[: len(content) // 2 + 3])
    fails(copied, r"Expected a vocabulary of sentencepiece in .*spiece\.model, but it is damaged")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model_type": "siglip2"}, r'configuration\.model_type of .* to be one of clip, siglip, but got "siglip2"'),
        ({"vision_config__vision_use_head": False}, "features of one size and vision_use_head true, but texts have 64"),
        ({"text_config__projection_size": 32}, "features of one size .* but texts have 32 numbers and images 64"),
        ({"text_config__num_attention_heads": 5}, "Expected .*config.json to describe a SiglipModel, but: .*divisible"),
        ({"text_config__vocab_size": 100}, "Expected a tokenizer of at most 100 words, .* but it has 32000"),
    ],
)
def test_configurations_that_do_not_fit(copied, values, sentence):
    change(copied / "config.json", **values)
    fails(copied, sentence)


def test_its_family_is_told_by_the_files(folders, tmp_path, monkeypatch):
    assert find_family("any", f"local-dir:{folders['json']}").__name__.endswith("families.transformers_models")
    names = {path.name for path in files_of(f"local-dir:{folders['spiece']}")}
    assert names == {"config.json", PROCESSOR, "model.safetensors", "tokenizer_config.json", "spiece.model"}
    monkeypatch.setenv("VMFCOOP_WEIGHTS", str(tmp_path))
    write_model("MedSigLIP", tmp_path / "MedSigLIP", small=True)
    assert build_backbone("MedSigLIP").image_size == 448


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize("context", ["a photo of a", "a photo of glioma"])
def test_untrained_prompts_are_the_written_ones(medsiglip, position, context):
    words = context.split()
    n_ctx = len(words) + words.count("glioma")  # of which that word has two
    half = 2 if n_ctx in (4, 5) else 0
    order = {
        "end": f"{context} {{}}.",
        "middle": " ".join([*words[:half], "{}", *words[half:]]),
        "front": f"{{}} {context}",
    }
    names = ["meningioma_tumor", "brain"]
    learner = PromptLearner(medsiglip, names, n_ctx, context, position=position)
    texts = [order[position].format(name.replace("_", " ")) for name in names]
    features = medsiglip.encode_tokens(learner(), learner.tokens)
    assert torch.equal(learner(), medsiglip.embed(medsiglip.tokenize(texts).ids)) and learner.tokens.mask.all()
    assert torch.allclose(features, medsiglip.encode_text(texts), atol=1e-6)
    (features @ torch.randn(64)).sum().backward()
    assert (learner.ctx.grad.abs().amax(dim=-1) > 0).all()
    assert not any(parameter.requires_grad for parameter in medsiglip.parameters())


def test_a_word_of_several_tokens_may_start_one(medsiglip, capsys):
    learner = PromptLearner(medsiglip, ["brain"], 2, "meningioma photo")
    assert '"meningioma photo" is 4 tokens' in capsys.readouterr().out
    pieces = medsiglip.embed(medsiglip.tokenize(["meningioma photo"]).ids)[0]
    assert torch.allclose(learner.ctx, torch.stack([pieces[:3].mean(dim=0), pieces[3]]))


def test_the_longest_prompt_may_fill_the_context(medsiglip):
    learner = PromptLearner(medsiglip, [" ".join(["lung"] * 59)])
    assert learner.tokens.ids.shape == (1, 64) and learner.tokens.ids[0, -2] != medsiglip.tokenizer.end
    with pytest.raises(UserError, match=r"Expected prompts of at most 64 tokens, but n_ctx = 4 .* make 65"):
        PromptLearner(medsiglip, [" ".join(["lung"] * 60)])


def test_the_vocabulary(medsiglip, monkeypatch):
    every = medsiglip.vocabulary_ids()
    assert len(every) == 32_000 - 3 and not {0, 1, 2} & set(every.tolist())
    ids = torch.tensor([medsiglip.tokenize([word]).ids[0, 0] for word in ("mass", "brain", "a")])
    monkeypatch.setattr(medsiglip, "vocabulary_ids", lambda: ids)
    assert torch.allclose(medsiglip.encode_vocabulary(), medsiglip.encode_text(["mass", "brain", "a"]), atol=1e-6)
    head = medsiglip.model.text_model.head
    expected = normalize(medsiglip.embed(ids) @ head.weight.T + head.bias, dim=-1)
    assert torch.allclose(medsiglip.project_vocabulary(), expected, atol=1e-6)
