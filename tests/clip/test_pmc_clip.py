"""PMC-CLIP with random weights, against plain transformers for texts and formulas for images."""

import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import BertConfig, BertModel, BertTokenizer

from clip import build_backbone, testing
from clip.build import files_of, source_of
from clip.families.pmc_clip import model as module
from clip.image_input import OPENAI
from clip.inputs import input_of
from dassl.errors import UserError
from tests.clip.few_shot_run import CUT, run_few_shot
from trainers.base.prompt_learner import PromptLearner

ROOT = Path(__file__).parents[2]
IMAGE, TEXT, PROJECTION = "image_encoder(resnet50).pth", "text_encoder.pth", "text_projection_layer.pth"
TEXTS = ["a photo of a glioma tumor.", "normal brain", "an image showing the lungs, a bright mass: kidney"]
SMALL = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=192)
# Heads that pool an image, whether a text is the pooler's output, whether padding is masked.
RECIPES = {"PMC-CLIP": (8, True, True), "PMC-CLIP-training": (4, False, False)}
COMMIT = "c" * 40


def image_features(weights: dict[str, Tensor], pixels: Tensor, heads: int) -> Tensor:
    """Features of unit norm of a ResNet whose last map is pooled by attention, after the formulas."""

    def step(x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{conv}.weight"]
        statistics = [weights[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2), *statistics)

    x = pixels
    for i, stride in ((1, 2), (2, 1), (3, 1)):
        x = step(x, f"conv{i}", f"bn{i}", stride).relu()
    x = F.avg_pool2d(x, 2)
    blocks = sorted({name[: len("layer1.0")] for name in weights if name.startswith("layer")})
    for block in blocks:
        stride = 2 if block.endswith(".0") and block != "layer1.0" else 1
        y = step(x, f"{block}.conv1", f"{block}.bn1").relu()
        y = F.avg_pool2d(step(y, f"{block}.conv2", f"{block}.bn2").relu(), stride)
        if f"{block}.downsample.0.weight" in weights:
            x = step(F.avg_pool2d(x, stride), f"{block}.downsample.0", f"{block}.downsample.1")
        x = (x + step(y, f"{block}.conv3", f"{block}.bn3")).relu()
    tokens = x.flatten(2).transpose(1, 2)  # [B, 49, C]
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + weights["attnpool.positional_embedding"]

    def project(x: Tensor, name: str) -> Tensor:
        return F.linear(x, weights[f"attnpool.{name}_proj.weight"], weights[f"attnpool.{name}_proj.bias"])

    q, k, v = (project(tokens, name).unflatten(-1, (heads, -1)) for name in "qkv")
    attention = torch.einsum("bhd,bnhd->bhn", q[:, 0], k).div(q.shape[-1] ** 0.5).softmax(dim=-1)
    return F.normalize(project(torch.einsum("bhn,bnhd->bhd", attention, v).flatten(1), "c"), dim=-1)


def text_features(folder: Path, config: BertConfig, ids: Tensor, pooled: bool, masked: bool) -> Tensor:
    """Features of unit norm of plain transformers, of texts that are padded to 77 tokens."""
    model = BertModel(config).eval()
    model.load_state_dict(torch.load(folder / TEXT))
    out = model(input_ids=ids, attention_mask=(ids != 0).long() if masked else None)
    state = out.pooler_output if pooled else out.last_hidden_state[:, 0]
    return F.normalize(state @ torch.load(folder / PROJECTION), dim=-1)


def padded_ids(folder: Path, texts: list[str]) -> Tensor:
    tokenizer = BertTokenizer.from_pretrained(folder)
    return tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids


def pixels(count: int = 3) -> Tensor:
    return torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return testing.write_model("PMC-CLIP", tmp_path_factory.mktemp("weights") / "PMC-CLIP", small=True)


@pytest.fixture(scope="module", params=RECIPES)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def backbone(folder, name):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VMFCOOP_WEIGHTS", str(folder.parent))
        if not (folder.parent / name).exists():
            (folder.parent / name).symlink_to(folder)
        return build_backbone(name)


@pytest.fixture
def hf_home(tmp_path, monkeypatch) -> Path:
    """HF_HOME of a machine without network, with nothing in it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for variable in ("VMFCOOP_WEIGHTS", "BIOMEDCOOP_CHECKOUT"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def write_repo(hf_home: Path, repo: str, *files: Path) -> None:
    """Put files into the cache of the hub."""
    snapshot = hf_home / "hub" / repo.replace("/", "--") / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(COMMIT)
    for file in files:
        (snapshot / file.name).symlink_to(file)


@torch.no_grad()
def test_features_are_those_of_an_independent_computation(backbone, name, folder):
    heads, pooled, masked = RECIPES[name]
    expected = image_features(torch.load(folder / IMAGE), pixels(), heads)
    assert torch.allclose(backbone.encode_image(pixels()), expected, atol=1e-5)
    expected = text_features(folder, SMALL, padded_ids(folder, TEXTS), pooled, masked)
    assert torch.allclose(backbone.encode_text(TEXTS), expected, atol=1e-5)
    assert torch.allclose(torch.cat([backbone.encode_text([text]) for text in TEXTS]), expected, atol=1e-5)
    assert (backbone.embed_dim, backbone.token_dim, backbone.context_length) == (96, 128, 77)
    assert backbone.logit_scale == pytest.approx({"PMC-CLIP": 83.864}.get(name, 1 / 0.07), abs=1e-3)


@torch.no_grad()
def test_another_recipe_would_be_seen(folder):
    images, ids = torch.load(folder / IMAGE), padded_ids(folder, TEXTS)
    right = image_features(images, pixels(), 8)
    assert all((right * image_features(images, pixels(), heads)).sum(-1).max() < 0.9 for heads in (1, 4, 16))
    right = text_features(folder, SMALL, ids, True, True)
    one_head = BertConfig(**SMALL.to_dict() | {"num_attention_heads": 1})
    others = [(SMALL, ids, False, True), (SMALL, ids, True, False), (one_head, ids, True, True)]
    assert all((right * text_features(folder, *other)).sum(-1).max() < 0.9 for other in others)


def test_the_recipe_is_printed_and_part_of_the_fingerprint(folder, capsys, monkeypatch):
    found = {build_backbone(f"local-dir:{folder}").fingerprint()}
    said = (
        f"local-dir:{folder} is built as by BiomedCoOp: 8 heads pool an image, a text is what the pooler makes of [CLS]"
    )
    assert f"{said}, padding is masked, tokens are those of {folder}/vocab.txt\n" in capsys.readouterr().out
    for change in ({"heads": 4}, {"pooled": False}, {"masked": False}, {"log_scale": 4.0}):
        monkeypatch.setattr(module, "BIOMEDCOOP", module.RECIPES["PMC-CLIP"]._replace(**change))
        found.add(build_backbone(f"local-dir:{folder}").fingerprint())
    assert len(found) == 5


def test_texts_are_trimmed_only_where_padding_is_masked(backbone, name):
    tokens = backbone.tokenize(TEXTS)
    assert tokens.ids.shape[1] == (77 if backbone.fixed_length else int(backbone.lengths(TEXTS).max()))
    assert backbone.lengths([""]).tolist() == [2] and backbone.lengths(TEXTS[1:2]).tolist() == [4]
    assert tokens.mask.all(dim=1).tolist() == ([True] * 3 if backbone.fixed_length else [False, False, True])
    long = backbone.tokenize(["lung " * 200])
    assert long.ids.shape == (1, 77) and long.ids[0, -1] == 3  # [SEP]


def test_gradients_reach_the_context_and_no_weight(backbone):
    tokens = backbone.tokenize(TEXTS)
    embeddings = backbone.embed(tokens.ids).detach().requires_grad_()
    (backbone.encode_tokens(embeddings, tokens) @ torch.randn(96)).sum().backward()
    assert (embeddings.grad[tokens.mask].abs().amax(dim=-1) > 0).all()
    assert (embeddings.grad[~tokens.mask] == 0).all()
    assert not any(p.requires_grad or p.grad is not None for p in backbone.parameters())


@torch.no_grad()
@pytest.mark.parametrize("position", ["end", "front"])
def test_untrained_prompts_are_written_ones(backbone, position):
    names = ["glioma_tumor", "lung"]
    learner = PromptLearner(backbone, names, 4, "a photo of a", position=position)
    words = [name.replace("_", " ") for name in names]
    written = [f"a photo of a {name}." if position == "end" else f"{name} a photo of a." for name in words]
    found = backbone.encode_tokens(learner(), learner.tokens)
    assert torch.allclose(found, backbone.encode_text(written), atol=1e-5)


@torch.no_grad()
def test_words_of_the_vocabulary_are_texts_of_one_token(backbone, name, folder, monkeypatch):
    vocabulary = backbone.vocabulary_ids()
    assert len(vocabulary) == 30_522 - 6
    some = torch.cat([vocabulary[:3], vocabulary[-3:]])
    monkeypatch.setattr(backbone, "vocabulary_ids", lambda: some)
    ids = torch.zeros(6, 77, dtype=torch.long)
    ids[:, 0], ids[:, 1], ids[:, 2] = 2, some, 3
    assert torch.allclose(
        backbone.encode_vocabulary(), text_features(folder, SMALL, ids, *RECIPES[name][1:]), atol=1e-5
    )
    words, matrix = torch.load(folder / TEXT)["embeddings.word_embeddings.weight"], torch.load(folder / PROJECTION)
    assert torch.allclose(backbone.project_vocabulary(), F.normalize(words[some] @ matrix, dim=-1), atol=1e-5)


def copy(folder: Path, tmp_path: Path, file: str, content) -> str:
    """Return the name of a copy in which one file holds something else."""
    shutil.copytree(folder, tmp_path / "copy")
    torch.save(content, tmp_path / "copy" / file)
    return f"local-dir:{tmp_path / 'copy'}"


def test_older_forms_of_the_files(folder, tmp_path):
    text, matrix = torch.load(folder / TEXT), torch.load(folder / PROJECTION)
    text["embeddings.position_ids"] = torch.arange(512)[None]
    name = copy(folder, tmp_path, TEXT, text)
    torch.save(torch.nn.Parameter(matrix), tmp_path / "copy" / PROJECTION)
    assert build_backbone(name).fingerprint() == build_backbone(f"local-dir:{folder}").fingerprint()
    torch.save({key: value.half() for key, value in text.items()}, tmp_path / "copy" / TEXT)
    (tmp_path / "copy" / "tokenizer_config.json").unlink()  # a vocabulary alone is lower case too
    halved = build_backbone(f"{name}/{TEXT}")
    assert all(p.dtype == torch.float32 for p in halved.parameters())
    expected = build_backbone(f"local-dir:{folder}").encode_text(TEXTS)
    assert torch.allclose(halved.encode_text([text.upper() for text in TEXTS]), expected, atol=2e-2)


NO_OTHERS = "Expected all weights of the model and no others in"
WRONG = {
    "extra text": (
        TEXT,
        lambda w: w | {"cls.bias": w["pooler.dense.bias"]},
        rf"{NO_OTHERS} .*{TEXT}, .*has.* cls\.bias",
    ),
    "no pooler": (
        TEXT,
        lambda w: {k: w[k] for k in w if k[:6] != "pooler"},
        rf"{NO_OTHERS} .*{TEXT}, .*lacks pooler\.",
    ),
    "extra image": (IMAGE, lambda w: w | {"fc": w["bn1.bias"]}, rf"{NO_OTHERS} .*resnet50.*, .*has, unknown here, fc:"),
    "no width": (IMAGE, lambda w: {"bn1.bias": w["bn1.bias"]}, r"resnet50.*lacks conv3\.weight:"),
    "two widths": (
        IMAGE,
        lambda w: w | {"conv3.weight": torch.zeros(16, 4, 3, 3)},
        r"resnet50.* size mismatch for conv1",
    ),
    "narrow": (
        TEXT,
        lambda w: w | {"embeddings.LayerNorm.weight": torch.zeros(32)},
        rf"tensor of \(32, 96\) in .*{PROJECTION}",
    ),
    "list": (IMAGE, lambda w: list(w.values()), r"it holds no dictionary of tensors: save a state_dict"),
    "nested": (TEXT, lambda w: {"state_dict": w}, r"it holds no dictionary of tensors: save a state_dict"),
    "objects": (TEXT, lambda w: w | {"args": Namespace(a=1)}, r"it holds pickled objects, which are not loaded"),
    "transposed": (
        PROJECTION,
        lambda w: w.t(),
        rf"tensor of \(128, 96\) in .*{PROJECTION}, .* one of \(96, 128\): copy",
    ),
    "dictionary": (PROJECTION, lambda w: {"weight": w}, rf"in .*{PROJECTION}, .* but it holds something else: copy"),
}


@pytest.mark.parametrize(("file", "change", "sentence"), WRONG.values(), ids=WRONG)
def test_a_file_that_does_not_fit_is_named(folder, tmp_path, file, change, sentence):
    name = copy(folder, tmp_path, file, change(torch.load(folder / file)))
    with pytest.raises(UserError, match=sentence) as caught:
        build_backbone(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", [IMAGE, TEXT, PROJECTION])
def test_a_missing_or_damaged_file_is_named(folder, tmp_path, file):
    path = shutil.copytree(folder, tmp_path / "copy") / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError) as caught:
        build_backbone(f"local-dir:{path.parent}")
    assert f"Expected weights in {path}, but it is damaged, cut short" in str(caught.value)
    path.unlink()
    with pytest.raises(UserError) as caught:
        build_backbone(f"local-dir:{path.parent}")
    assert f"Expected {file} in {path.parent}, but it holds " in str(caught.value)


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path):
    name = copy(folder, tmp_path, TEXT, torch.load(folder / TEXT))
    with (tmp_path / "copy" / "vocab.txt").open("a") as file:
        file.write("more\n")
    with pytest.raises(UserError, match=rf"at most 30522 words, as .*{TEXT} describes .* has 30523"):
        build_backbone(name)


def test_the_folder_of_biomedcoop_and_the_hubs_cache(folder, hf_home, monkeypatch):
    files = [folder / file for file in (IMAGE, TEXT, PROJECTION)]
    checkpoints = hf_home / "checkout" / "clip" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for file in files:
        (checkpoints / file.name).symlink_to(file)
    assert source_of("PMC-CLIP") == "hf-hub:datasets/axiong/pmc_oa"
    monkeypatch.setenv("BIOMEDCOOP_CHECKOUT", str(hf_home / "checkout"))
    assert source_of("PMC-CLIP") == source_of("PMC-CLIP-training") == f"local-dir:{checkpoints}"
    with pytest.raises(
        UserError, match=r"vocabulary of PMC-CLIP's texts in .*/checkpoints or .* run `hf download micro"
    ):
        build_backbone("PMC-CLIP")
    write_repo(hf_home, "models--microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", folder / "vocab.txt")
    expected = build_backbone(f"local-dir:{folder}").fingerprint()
    assert build_backbone("PMC-CLIP").fingerprint() == expected
    with pytest.raises(UserError, match=r"run `hf download microsoft/\S+-abstract-fulltext vocab.txt "):
        build_backbone("PMC-CLIP-training")
    assert files_of("PMC-CLIP") == [checkpoints / file.name for file in files]
    monkeypatch.delenv("BIOMEDCOOP_CHECKOUT")
    write_repo(hf_home, "datasets--axiong/pmc_oa", *files)
    of_hub = build_backbone("PMC-CLIP")
    assert (of_hub.fingerprint(), of_hub.revision) == (expected, COMMIT)
    assert build_backbone(f"hf-hub:datasets/axiong/pmc_oa@{COMMIT}").fingerprint() == expected


def test_nothing_there_says_what_to_bring(hf_home):
    with pytest.raises(UserError) as caught:
        build_backbone("PMC-CLIP")
    assert str(caught.value).startswith(f"Expected {IMAGE} of axiong/pmc_oa in the cache {hf_home}")
    assert "`hf download axiong/pmc_oa --repo-type dataset --include '*.pth' --local-dir pmc_oa`" in str(caught.value)
    assert input_of("PMC-CLIP") == OPENAI


@torch.no_grad()
@pytest.mark.slow
def test_full_size(tmp_path):
    folder = testing.write_model("PMC-CLIP", tmp_path / "PMC-CLIP")
    backbone = build_backbone(f"local-dir:{folder}")
    counts = [sum(p.numel() for p in part.parameters()) for part in (backbone.model.visual, backbone.text.transformer)]
    assert counts == [37_792_352, 109_482_240]
    assert (backbone.embed_dim, backbone.token_dim) == (768, 768)
    assert (len(torch.load(folder / IMAGE)), len(torch.load(folder / TEXT))) == (339, 199)
    expected = image_features(torch.load(folder / IMAGE), pixels(), 8)
    assert torch.allclose(backbone.encode_image(pixels()), expected, atol=1e-5)
    expected = text_features(folder, BertConfig(), padded_ids(folder, TEXTS), True, True)
    assert torch.allclose(backbone.encode_text(TEXTS), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vmfcoop", "zeroshot"])
def test_a_run_of_the_script(tmp_path, method):
    _, printed = run_few_shot(tmp_path, "PMC-CLIP", method, CUT if method == "vmfcoop" else "")
    assert "PMC-CLIP is built as by BiomedCoOp: 8 heads" in printed
