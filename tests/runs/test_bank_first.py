"""Sentences that are missing are told before the backbone is loaded, which may take half a minute."""

import json

import pytest

import train


@pytest.fixture
def chest(data_root, tmp_path):
    """A user's folder of four classes, without sentences."""
    folder = tmp_path / "chest"
    folder.mkdir()
    for place in (data_root / "BTMRI" / "BTMRI").iterdir():
        (folder / place.name).mkdir()
        for image in place.iterdir():
            (folder / place.name / image.name).write_bytes(image.read_bytes())
    return folder


def test_without_sentences_no_backbone_is_loaded(chest, flags, tiny, capsys):
    assert train.main(flags("vMFCoOp", root=chest, dataset="folder")) == 1
    err = capsys.readouterr().err
    assert f"Expected sentences about the classes of chest in {chest / 'prompts.json'}, but there is no such" in err
    assert "datasets/prompts" not in err and tiny.calls == []
    assert train.main(flags("vMFCoOp", "PROMPTS.LLM", "mine", root=chest, dataset="folder")) == 1
    assert 'Expected prompts by "mine" for chest in ' in capsys.readouterr().err and tiny.calls == []
    assert train.main(flags("CoOp", root=chest, dataset="folder")) == 0 and tiny.calls


def test_with_sentences_it_runs(chest, flags, tiny):
    names = [place.name.replace("_", " ") for place in chest.iterdir()]
    (chest / "prompts.json").write_text(json.dumps({name: [f"a {name}", f"the {name}"] for name in names}))
    assert train.main(flags("vMFCoOp", "TRAINER.VMFCOOP.N_PROMPTS", 2, root=chest, dataset="folder")) == 0


def test_a_bank_that_is_not_there_is_told_first(flags, tiny, capsys):
    assert train.main(flags("KgCoOpLLM", "PROMPTS.LLM", "nobody")) == 1
    assert "btmri.json, but there are none; the banks are: claude-brief/btmri, claude/btmri" in capsys.readouterr().err
    assert tiny.calls == []


def test_a_folder_that_is_not_there_is_told_first(tmp_path, flags, tiny, capsys):
    assert train.main(flags("vMFCoOp", root=tmp_path / "none", dataset="folder")) == 1
    assert f"Expected a folder of images, but there is no {tmp_path / 'none'}" in capsys.readouterr().err
    assert tiny.calls == []
