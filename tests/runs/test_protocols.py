"""Published protocols and several LLMs: which settings are merged, and in which folders the runs lie."""

import json
import shutil
from pathlib import Path

import pytest

import train
from dassl.errors import UserError
from datasets import prompts
from runs.config import configure
from runs.files import config_files
from runs.folder import run_folder
from runs.methods import METHODS, both_protocols, published_file
from runs.spec import RunSpec
from tests.run_folders import record
from trainers.base.digests import config_digest

PUBLISHED = RunSpec("clip_adapter:published", "btmri", 16, root="phantoms")


def test_a_published_protocol_has_its_own_settings_and_folder():
    best, published = (
        configure(spec, 1) for spec in (RunSpec("clip_adapter", "btmri", 16, root="phantoms"), PUBLISHED)
    )
    assert (best.PROTOCOL, published.PROTOCOL) == ("best", "published")
    assert config_files(PUBLISHED)[-1] == published_file("CLIPAdapter")
    assert published.TRAINER.CLIPADAPTER != best.TRAINER.CLIPADAPTER
    assert [Path(cfg.OUTPUT_DIR).parent.name for cfg in (best, published)] == [
        "nctx4_cscFalse_ctpend",
        "nctx4_cscFalse_ctpend_published",
    ]


def test_an_option_and_a_yaml_file_ask_for_a_protocol_too(tmp_path):
    (tmp_path / "mine.yaml").write_text("PROTOCOL: published\nTRAINER: {CLIPADAPTER: {REDUCTION: 8}}")
    by_option = RunSpec("CLIPAdapter", "btmri", 16, root="phantoms", options={"PROTOCOL": "published"})
    by_file = RunSpec("CLIPAdapter", "btmri", 16, root="phantoms", config_file=str(tmp_path / "mine.yaml"))
    assert configure(by_option, 1) == configure(PUBLISHED, 1)
    other = configure(by_file, 1).clone()
    other.defrost()
    assert other.TRAINER.CLIPADAPTER.REDUCTION == 8  # the file's own settings come last
    other.TRAINER.CLIPADAPTER.REDUCTION, other.OUTPUT_DIR = 4, configure(PUBLISHED, 1).OUTPUT_DIR
    other.freeze()
    assert other == configure(PUBLISHED, 1)


def test_a_trainer_that_only_a_yaml_file_names_is_not_called_published(tmp_path):
    (tmp_path / "mine.yaml").write_text("PROTOCOL: published\nTRAINER: {NAME: CLIPAdapter}")
    spec = RunSpec("", "btmri", 16, root="phantoms", config_file=str(tmp_path / "mine.yaml"))
    assert configure(spec, 1).PROTOCOL == "best"  # as published.yaml is not merged


def test_a_protocol_that_a_method_has_not_is_told(flags, capsys):
    assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0, "PROTOCOL", "published")) == 0
    assert "PROTOCOL published: ZeroshotCLIP has no settings for it" in capsys.readouterr().out


def test_the_llm_is_no_setting_of_methods_that_read_no_sentences():
    def digests(method: str) -> set[str]:
        specs = (RunSpec(method, "btmri", 2, root="phantoms", options={"PROMPTS.LLM": llm}) for llm in ("a", "b"))
        return {config_digest(configure(spec, 1)) for spec in specs}

    assert len(digests("coop")) == 1 and len(digests("vmfcoop")) == 2


def test_options_win_over_the_published_settings():
    spec = RunSpec("clip_adapter:published", "btmri", 16, root="phantoms", options={"OPTIM.LR": 0.5})
    assert configure(spec, 1).OPTIM.LR == 0.5


def test_a_method_whose_protocols_are_the_same_has_one_row():
    spec = RunSpec("biomedcoop:published", "btmri", 16, root="phantoms")
    assert configure(spec, 1) == configure(RunSpec("biomedcoop", "btmri", 16, root="phantoms"), 1)
    rows = both_protocols(METHODS)
    assert "clip_adapter:published" in rows and "biomedcoop:published" not in rows
    assert rows.index("clip_adapter:published") == rows.index("clip_adapter") + 1
    novel = both_protocols(["clip_adapter", "coop"], "base2new")  # which the benchmark has not run of adapters
    assert novel == ["clip_adapter", "coop", "coop:published"]


@pytest.mark.parametrize("ask", [{"trainer": "clip_adapter:publisht"}, {"options": {"PROTOCOL": "publisht"}}])
def test_an_unknown_protocol_is_refused(ask):
    with pytest.raises(UserError, match=r"PROTOCOL to be one of best, published, but got 'publisht': did you mean"):
        RunSpec(**{"trainer": "clip_adapter", "dataset": "btmri", "shots": 16} | ask)


def test_two_banks_share_an_output(flags, tmp_path, monkeypatch, capsys):
    banks = tmp_path / "banks"
    shutil.copytree(prompts.FOLDER / "claude", banks / "claude")
    bank = json.loads((banks / "claude" / "btmri.json").read_text())
    bank["prompts"] = {name: [f"{text} Indeed." for text in texts] for name, texts in bank["prompts"].items()}
    (banks / "other").mkdir()
    (banks / "other" / "btmri.json").write_text(json.dumps(bank | {"llm": "other"}))
    monkeypatch.setattr(prompts, "FOLDER", banks)
    opts = ("OPTIM.MAX_EPOCH", 0)
    assert train.main(flags("ZeroshotEnsemble", *opts)) == 0
    assert train.main(flags("ZeroshotEnsemble", *opts, "PROMPTS.LLM", "other")) == 0
    folder = tmp_path / "btmri/shots_2/ZeroshotEnsemble_PhantomCLIP"
    first, second = (record(folder / f"nctx4_cscFalse_ctpend_{llm}" / "seed1") for llm in ("claude", "other"))
    assert first["hashes"]["sentences"] != second["hashes"]["sentences"]
    assert train.main(flags("ZeroshotEnsemble", *opts)) == 0
    assert "Finished already" in capsys.readouterr().out


def test_only_methods_that_read_sentences_name_an_llm(tmp_path):
    for method in METHODS:
        spec = RunSpec(method, "btmri", 2, root="phantoms", output=str(tmp_path))
        cfg = configure(spec, 1)
        reads = "N_PROMPTS" in cfg.TRAINER[cfg.TRAINER.NAME.upper()]
        assert run_folder(spec, cfg, "all").parent.name.endswith("_claude") == reads


def test_the_written_configuration_is_what_ran(flags, tmp_path):
    from dassl.reading import read_yaml

    assert train.main(flags("ZeroshotCLIP", "OPTIM.MAX_EPOCH", 0)) == 0
    (folder,) = tmp_path.glob("btmri/shots_2/ZeroshotCLIP_PhantomCLIP/*/seed1")
    written, log = read_yaml(folder / "config.yaml"), (folder / "log.txt").read_text()
    from clip import build_backbone

    backbone = build_backbone("PhantomCLIP")
    assert written["INPUT"]["SIZE"] == [backbone.image_size] * 2
    assert written["INPUT"]["PIXEL_MEAN"] == list(backbone.mean) != [0.485, 0.456, 0.406]
    assert written["INPUT"]["PIXEL_STD"] == list(backbone.std)
    assert written["INPUT"]["INTERPOLATION"] == backbone.interpolation
    assert f"normalization (mean={list(backbone.mean)}, std={list(backbone.std)})" in log
