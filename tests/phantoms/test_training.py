"""The training of PhantomCLIP, on a few pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import open_clip
import pytest
import torch

from scripts.phantomclip import text_tower, train
from scripts.phantomclip.pairs import Pairs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(name)`: train for one epoch below a folder of this name, which is returned."""
    monkeypatch.chdir(ROOT)  # of the committed vocabulary
    threads = torch.get_num_threads()

    def run(name: str) -> Path:
        top = tmp_path / name
        flags = f"--folder {top / 'model'} --build {top / 'build'} --log {top / 'train.log'} --datasets btmri busi"
        few = "--per-class 8 --image-epochs 1 --text-epochs 1 --batch 8 --views 1 --threads 1"
        monkeypatch.setattr("sys.argv", ["train", *flags.split(), *few.split()])
        train.main()
        return top

    yield run
    torch.set_num_threads(threads)


def weights_digest(top: Path) -> str:
    """Digest of the weights of a trained model."""
    return hashlib.sha256((top / "model/open_clip_model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_killed_training_continues_to_the_same_model(run, monkeypatch):
    whole = run("whole")
    assert not list((whole / "build").glob("*.pt"))
    lines = (whole / "train.log").read_text().splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == ["attributes, epoch 0", "captions, epoch 0"]
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{whole / 'model'}")
    assert model.visual.output_dim == 256

    def kill(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(text_tower, "train_text_tower", kill)
        run("killed")
    killed = run("killed")
    lines = (killed / "train.log").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        lines[0].split(",")[0],
        "attributes",
        lines[0].split(",")[0],
        "captions",
    ]
    assert weights_digest(killed) == weights_digest(whole)


def test_pairs_are_rendered_once_and_captioned_anew_in_every_epoch(tmp_path, monkeypatch):
    first = Pairs(tmp_path, ["btmri", "retina"], per_class=2, workers=1)
    monkeypatch.setattr(Pairs, "_render", None)
    again = Pairs(tmp_path, ["btmri", "retina"], per_class=2)
    assert len(again) == len(again.images) == 16 and (again.images == first.images).all()
    assert again.captions(0, 0.0) == first.captions(0, 0.0) != first.captions(1, 0.0)
    shown, asked = again.labels()
    assert [row.sum() for row in shown] == [len(names) for names in again.attributes]
    assert not (shown & ~asked).any()
    assert not (asked[:8] & asked[8:]).any(), "attributes of one data set are asked of another"
