"""The committed PhantomCLIP: open_clip reads it, it is small, and it is neither blind nor finished."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch
from safetensors import safe_open

from clip import FeatureStore, build_backbone
from datasets.phantoms import PHANTOMS, prepare
from datasets.phantoms.folder import Counts
from scripts.phantomclip import tower, vocabulary
from scripts.phantomclip.evaluate import measure

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / tower.FOLDER
# Mean accuracy in percent over the phantoms it was taught: low enough to learn something, high enough to start from.
WINDOWS = {"zero-shot": (44, 58), "ensemble": (56, 69), "probe 16": (73, 86)}


@pytest.fixture(scope="module", autouse=True)
def repository_root():
    """The paths in the model's configuration are relative to the repository root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield


@pytest.fixture(scope="module")
def towers() -> SimpleNamespace:
    """PhantomCLIP as open_clip alone loads it."""
    source = f"local-dir:{tower.FOLDER}"
    model, _ = open_clip.create_model_from_pretrained(source, pretrained_hf=False)
    return SimpleNamespace(model=model.eval(), tokenize=open_clip.get_tokenizer(source))


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> FeatureStore:
    return FeatureStore(build_backbone("PhantomCLIP"), tmp_path_factory.mktemp("features"))


def test_folder_is_small_and_its_weights_are_half_precision():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 12 * 2**20
    with safe_open(FOLDER / "open_clip_model.safetensors", "pt") as weights:
        kinds = {weights.get_tensor(key).dtype for key in weights.keys()}  # noqa: SIM118
    assert kinds <= {torch.float16, torch.int64}


def test_configuration_names_no_path_outside_the_repository():
    config = json.loads((FOLDER / "open_clip_config.json").read_text())
    assert config["model_cfg"]["text_cfg"]["hf_model_name"] == "clip/phantomclip"
    assert config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] == "clip/phantomclip"
    assert config["model_cfg"]["embed_dim"] == 256


def test_open_clip_loads_it_by_itself():
    model, transform = open_clip.create_model_from_pretrained("local-dir:clip/phantomclip")
    assert 0 < model.logit_scale.item() <= np.log(100) + 1e-3
    assert not torch.isnan(torch.cat([p.flatten() for p in model.parameters()])).any()
    assert transform.transforms[0].size == tower.IMAGE_SIZE


def test_features_are_unit_vectors_and_padding_changes_nothing(towers):
    ids = towers.tokenize(["a photo of a melanoma.", "hazy ground glass opacities in both lungs"])
    assert ids.shape == (2, tower.CONTEXT_LENGTH)
    with torch.no_grad():
        long = towers.model.encode_text(ids, normalize=True)
        short = towers.model.encode_text(ids[:, : int((ids != 0).sum(1).max())], normalize=True)
        picture = towers.model.encode_image(torch.rand(1, 3, tower.IMAGE_SIZE, tower.IMAGE_SIZE), normalize=True)
    assert torch.allclose(long, short, atol=1e-5)
    assert torch.allclose(torch.cat([long, picture]).norm(dim=1), torch.ones(3), atol=1e-5)


def test_tokenizer_knows_every_word_it_may_meet(towers):
    tokenizer = towers.tokenize.tokenizer
    assert len(tokenizer.tokenize("a photo of a")) == 4
    words = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(vocabulary.CHARACTERS + " zyxwv 3.14mm (T2-weighted)"))
    assert tokenizer.unk_token_id not in words
    for text in vocabulary.corpus(PHANTOMS):
        assert tokenizer.unk_token not in tokenizer.tokenize(text), text


def test_choice_of_vocabulary_is_reproducible():
    texts = vocabulary.corpus(PHANTOMS)
    first, second = (vocabulary.choose_vocabulary(texts, 1500) for _ in range(2))
    assert first == second and len(first) == len(set(first)) == 1500
    assert first[:5] == vocabulary.SPECIAL and {"a", "photo", "of", "##z", "9"} <= set(first)


def measured(store, key: str, root: Path) -> dict[str, float]:
    """Accuracies of one data set, none of them hopeless and none near the ceiling."""
    prepare(key, root, progress=False, counts=Counts(train=16, val=1, test_total=160))
    row = measure(store, key, root, shots=(16,))
    assert 100 / len(PHANTOMS[key].classes) < row["zero-shot"] < 85, key
    assert 50 < row["probe 16"] < 97, key
    return row


@pytest.mark.parametrize("key", ["btmri", "busi"])
def test_it_is_above_chance_and_below_the_ceiling(store, tmp_path, key):
    measured(store, key, tmp_path)


@pytest.mark.slow  # all data sets are rendered and encoded
def test_mean_accuracies_lie_in_their_windows(store, tmp_path):
    rows = [measured(store, key, tmp_path) for key in PHANTOMS]
    for column, (low, high) in WINDOWS.items():
        values = [row[column] for row in rows if column in row]
        assert not values or low <= np.mean(values) <= high, (column, values)
