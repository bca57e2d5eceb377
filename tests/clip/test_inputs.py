"""What a backbone expects of its images is known before its weights are loaded."""

import json

import pytest

from clip import build_backbone, testing
from clip.families import open_clip_models
from clip.image_input import OPENAI, ImageInput, described_input
from clip.inputs import input_of


def of(backbone) -> ImageInput:
    return backbone.image_input


def test_it_is_that_of_the_backbone_that_is_built(backbone):
    expected = ImageInput(96, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bicubic")
    assert input_of("PhantomCLIP") == of(backbone) == expected
    assert backbone.model.visual.image_size in (96, (96, 96))


def test_no_weights_are_needed(tmp_path):
    testing.write_config(tmp_path)
    assert input_of(f"local-dir:{tmp_path}") == OPENAI


def test_a_model_without_values_has_those_of_openai():
    assert described_input({"vision_cfg": {}}, {}) == OPENAI
    given = {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 3], "interpolation": "nearest"}
    found = described_input({"vision_cfg": {"image_size": [32, 32]}}, given)
    assert found == ImageInput(32, (0.1, 0.2, 0.3), (1, 2, 3), "nearest")


def test_a_family_that_knows_no_other_way_builds_the_model(tmp_path, monkeypatch):
    monkeypatch.delattr(open_clip_models, "image_input")
    folder = testing.write_biomedclip(tmp_path, small=True)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.2, 0.3]
    testing.write_config(folder, config)
    assert input_of(f"local-dir:{folder}") == of(build_backbone(f"local-dir:{folder}"))
    assert input_of(f"local-dir:{folder}").mean == (0.1, 0.2, 0.3)
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(ValueError, match="safetensors"):
        input_of(f"local-dir:{folder}")
