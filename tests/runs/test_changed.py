"""Settings that are not those of the yaml files: the folder, the record and the row of a run name them."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import train
from runs.changed import MARK, as_options, equal, folder_part, in_words, made_with, of_folder, split_folder
from runs.config import configure
from runs.spec import RunSpec
from tests.run_folders import record, run_folder

SPEC = RunSpec("vmfcoop", "btmri", 2, root="phantoms")
KEYS = st.sampled_from(["OPTIM.LR", "OPTIM.MAX_EPOCH", "TRAINER.VMFCOOP.LAMBDA_ANC", "TRAINER.VMFCOOP.KAPPA"])
VALUES = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.text(), st.lists(st.integers()))


def folder(*options, **more) -> str:
    """The name of the folder above the seeds."""
    return Path(configure(dataclasses.replace(SPEC, options=options, **more), 1).OUTPUT_DIR).parent.name


def test_a_changed_setting_has_a_folder_of_its_own():
    plain = folder()
    assert folder("TRAINER.VMFCOOP.LAMBDA_ANC", "10") == f"{plain}__LAMBDA_ANC=10"
    assert folder("OPTIM.LR", 0.1, "TRAINER.VMFCOOP.SCE", False) == f"{plain}__SCE=False,OPTIM.LR=0.1"
    assert folder("TRAINER.VMFCOOP.LAMBDA_ANC", 1.0) == plain  # the yaml files' own value
    assert folder("TRAINER.VMFCOOP.N_CTX", 8) == plain.replace("nctx4", "nctx8")  # what it names anyway
    assert folder("PROMPTS.LLM", "gpt4") == plain.replace("claude", "gpt4")


@pytest.mark.parametrize(
    "option",
    [
        ("DATALOADER.NUM_WORKERS", 0),
        ("TRAIN.PRINT_FREQ", 1),
        ("TENSORBOARD", True),
        ("TEST.PER_CLASS_RESULT", True),
        ("TRAIN.CHECKPOINT_FREQ", 5),
        ("FEATURES.ROOT", "store"),
        ("TRAINER.COOP.CSC", True),  # of another method
        ("TRAINER.VMFCOOP.RHO", 0.1),  # of the other inference
    ],
    ids=str,
)
def test_what_changes_no_number_has_not(option):
    assert folder(*option) == folder()


def test_a_yaml_file_that_is_named_changes_settings_too(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("TRAINER: {VMFCOOP: {TAU_MAX: 20}}\nOPTIM: {MAX_EPOCH: 100}")
    assert folder(config_file=str(file)) == f"{folder()}__TAU_MAX=20"
    file.write_text("")
    assert folder(config_file=str(file)) == folder()


def test_the_name_of_a_long_change_ends_in_a_digest():
    names = {folder("TRAINER.VMFCOOP.CTX_INIT", "word " * n) for n in (30, 31)}
    assert len(names) == 2 and all(len(name) < 150 for name in names)


@given(st.dictionaries(KEYS, VALUES, min_size=1), st.dictionaries(KEYS, VALUES, min_size=1))
def test_other_changes_have_other_folders_and_every_name_is_one_folder(one, other):
    first, second = folder_part(one), folder_part(other)
    assert (first == second) == (in_pairs(one) == in_pairs(other))
    assert first.startswith(MARK) and "/" not in first and len(first) < 100 and first.isprintable() and " " not in first
    assert split_folder(f"nctx4_cscFalse_ctpend_a_b{first}")[0] == "nctx4_cscFalse_ctpend_a_b"


def in_pairs(changed) -> list[str]:
    return as_options(changed)


@given(st.dictionaries(KEYS, st.one_of(st.integers(), st.booleans(), st.floats(-1e6, 1e6)), min_size=1))
def test_a_short_name_is_read_back(changed):
    found = of_folder(folder_part(changed).removeprefix(MARK), "vMFCoOp")
    assert "settings" in found or all(equal(found[key], value) for key, value in changed.items())
    assert in_words(changed)


def test_which_runs_options_mean():
    coop = {"OPTIM.MAX_EPOCH": 3, "OPTIM.LR": 0.002}
    assert made_with([("OPTIM.MAX_EPOCH", "3")], {"OPTIM.MAX_EPOCH": 3}, coop)
    assert not made_with([], {"OPTIM.MAX_EPOCH": 3}, coop)
    assert not made_with([("OPTIM.MAX_EPOCH", "3")], {}, coop | {"OPTIM.MAX_EPOCH": 100})  # the option was not taken
    assert made_with([("OPTIM.LR", "2e-3")], {}, coop | {"OPTIM.MAX_EPOCH": 100})  # what the files say anyway
    assert made_with([("OPTIM.MAX_EPOCH", "3")], {}, {"OPTIM.MAX_EPOCH": 0})  # passed over
    assert made_with([("TRAINER.VMFCOOP.SCE", "False")], {}, coop)  # of another method


def test_a_record_tells_all_settings_and_which_were_changed(flags, tmp_path):
    assert train.main(flags("CoOp", "OPTIM.LR", "0.1")) == 0
    found = record(run_folder(tmp_path, "CoOp"))
    assert found["changed"] == {"OPTIM.MAX_EPOCH": 3, "OPTIM.LR": 0.1}
    assert found["settings"]["OPTIM.LR"] == 0.1 and found["settings"]["OPTIM.NAME"] == "sgd"
    assert not {"DATASET.ROOT", "OUTPUT_DIR", "FEATURES.ROOT", "MODEL.BACKBONE.NAME"} & found["settings"].keys()
    assert str(tmp_path) not in (run_folder(tmp_path, "CoOp") / "metrics.json").read_text()


@pytest.mark.parametrize("trainer", ["ZeroshotCLIP", "TipAdapter", "LinearProbe"])
def test_settings_of_training_are_passed_over_by_methods_without_epochs(flags, tmp_path, capsys, trainer):
    assert train.main(flags(trainer, "OPTIM.LR", 0.1)) == 0
    folder = run_folder(tmp_path, trainer)
    assert folder.parent.name == "nctx4_cscFalse_ctpend" and record(folder)["changed"] == {}
    said = f"Passed over, as {trainer} does not learn in epochs: OPTIM.MAX_EPOCH 3, OPTIM.LR 0.1"
    assert said in (folder / "log.txt").read_text()
    assert train.main(flags(trainer, more=("--output", tmp_path / "without"))[:-4]) == 0
    assert record(run_folder(tmp_path / "without", trainer))["hashes"] == record(folder)["hashes"]


@pytest.mark.parametrize("trainer", ["ZeroshotCLIP", "TipAdapter", "LinearProbe"])
def test_a_yaml_file_cannot_give_epochs_to_methods_that_have_none(flags, tmp_path, capsys, trainer):
    (tmp_path / "mine.yaml").write_text("OPTIM: {MAX_EPOCH: 3}")
    assert train.main(flags(trainer, more=("--config-file", tmp_path / "mine.yaml"))) == 1
    assert f"Expected OPTIM.MAX_EPOCH to be 0, but got 3: {trainer} does not" in capsys.readouterr().err


def test_a_seed_does_not_join_others_of_other_settings(flags, tmp_path, capsys):
    assert train.main(flags("CoOp")) == 0
    path = run_folder(tmp_path, "CoOp") / "metrics.json"
    found = json.loads(path.read_text())
    found["hashes"]["settings"], found["settings"]["OPTIM.LR"] = "0" * 16, 0.5  # as where a yaml file was edited
    path.write_text(json.dumps(found))
    assert train.main(flags("CoOp", seed=2)) == 1
    err = capsys.readouterr().err
    assert "Expected a seed like those beside it" in err and "OPTIM.LR 0.5 there, 0.002 here" in err
    assert not run_folder(tmp_path, "CoOp", seed=2).exists()
    assert train.main(flags("CoOp", seed=2, output=tmp_path / "other")) == 0


def test_the_llm_that_a_gap_does_not_name_is_that_of_a_run():
    from datasets.prompts import DEFAULT_LLM
    from runs.layout import LLM

    assert configure(SPEC, 1).PROMPTS.LLM == DEFAULT_LLM == LLM
