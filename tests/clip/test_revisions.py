"""The commit of a backbone from the hub can be chosen, is recorded, and a change of it is told."""

import shutil

import pytest

import train
from clip import build_backbone
from clip.families.open_clip_models import NAMES
from clip.files import locate
from clip.revisions import note_revision
from dassl.errors import UserError
from datasets.phantoms.folder import Counts, prepare
from tests.run_folders import record

PHANTOMCLIP = NAMES["PhantomCLIP"].source.removeprefix("local-dir:")
OLD, NEW = "a" * 40, "b" * 40
NAME = "hf-hub:org/model"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the hub with two commits of org/model; `hub(commit)` moves its main branch."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for repo in ("org--model", "clip--phantomclip"):  # the second is what the configuration calls the text tower's
        for commit in (OLD, NEW):
            shutil.copytree(PHANTOMCLIP, tmp_path / f"hub/models--{repo}/snapshots/{commit}")
        (tmp_path / f"hub/models--{repo}/refs").mkdir()
        (tmp_path / f"hub/models--{repo}/refs/main").write_text(OLD)

    def move(commit: str) -> None:
        (tmp_path / "hub/models--org--model/refs/main").write_text(commit)

    return move


def test_a_revision_is_chosen_by_name(hub, tmp_path):
    (tmp_path / "hub/models--org--model/refs/v1").write_text(NEW)
    assert build_backbone(NAME).revision == OLD
    assert build_backbone(f"{NAME}@{NEW}").revision == build_backbone(f"{NAME}@v1").revision == NEW
    assert build_backbone("PhantomCLIP").revision is None
    with pytest.raises(UserError, match=rf"of org/model .* --revision {'c' * 40} --local-dir model"):
        build_backbone(f"{NAME}@{'c' * 40}")


@pytest.mark.parametrize("revision", ["../../x", "/etc", "a b", "a@b", "é"])
def test_a_revision_is_no_path(hub, revision):
    with pytest.raises(UserError, match="a commit, tag or branch after the @"):
        build_backbone(f"{NAME}@{revision}")


def test_all_files_are_of_one_commit(hub, tmp_path):
    place = locate(NAME)
    assert OLD in str(place.need("open_clip_config.json"))
    hub(NEW)
    assert OLD in str(place.need("config.json")) and NEW in str(locate(NAME).need("config.json"))


def test_a_change_since_the_first_use_is_one_line(hub, tmp_path, capsys):
    note_revision(build_backbone(NAME), tmp_path)
    note_revision(build_backbone(NAME), tmp_path)
    note_revision(build_backbone("PhantomCLIP"), tmp_path)
    assert capsys.readouterr().out == ""
    hub(NEW)
    for _ in range(2):
        note_revision(build_backbone(NAME), tmp_path)
        said = capsys.readouterr().out
        assert said.count("\n") == 1 and f"it was at {OLD} when it was used first, and is at {NEW} now" in said
    note_revision(build_backbone(f"{NAME}@{NEW}"), tmp_path)
    assert capsys.readouterr().out == ""
    hub(OLD)
    note_revision(build_backbone(NAME), tmp_path)
    assert capsys.readouterr().out == ""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(backbone)` returns the record of a zero-shot run on four phantoms."""
    prepare("BTMRI", tmp_path / "data", progress=False, counts=Counts(train=1, val=1, test_total=4))
    monkeypatch.setenv("VMFCOOP_CACHE", str(tmp_path / "store"))

    def run(backbone: str) -> dict:
        output = tmp_path / backbone.replace("/", "-")
        given = {"root": tmp_path / "data", "dataset": "btmri", "shots": 1, "seed": 1, "trainer": "ZeroshotCLIP"}
        given |= {"backbone": backbone, "output": output}
        words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
        assert train.main([*words, "OPTIM.MAX_EPOCH", "0", "DATALOADER.NUM_WORKERS", "0"]) == 0
        (path,) = output.rglob("metrics.json")
        return record(path.parent)

    return run


def test_a_run_records_what_it_used(hub, run, tmp_path):
    assert run(f"{NAME}@{NEW}")["backbone_revision"] == NEW
    assert not (tmp_path / "store/revisions.json").exists()
    assert run(NAME)["backbone_revision"] == OLD
    assert OLD in (tmp_path / "store/revisions.json").read_text()
