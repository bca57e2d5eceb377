"""The paragraph "Implementation details": a clause for what records tell, and values that differ by method."""

from dataclasses import replace

import pytest

from report.__main__ import main
from report.collect import find_all
from report.groups import group_runs
from report.implementation import each, latex, paragraph
from tests.security.received import HOSTILE

COMMIT = "9af3e4d01b2c3d4e5f60718293a4b5c6d7e8f901"
CLASSES = {"accuracy": 70.0, "per_class": {"glioma tumor": 60.0, "normal brain": 80.0}}
TOLD = {
    "backbone": "hf-hub:org/model",
    "backbone_revision": "0123abcd",
    "phantom": False,
    "phantom_backbone": False,
    "metrics": CLASSES,
    "total": 1717,
    "views": "many",
    "sentences_per_class": 50,
    "prompts": {"llm": "gpt4", "model": "GPT-4", "date": "2026-01-02"},
    "device": {"name": "NVIDIA A100", "precision": "bf16", "cuda": "13.0"},
    "versions": {"python": "3.11.2", "torch": "2.14.1", "regex": "2026.1"},
    "commit": f"{COMMIT}+changes",
    "method": {"N_CTX": 4, "CTX_INIT": "a photo of a"},
}
WHOLE = (
    "vMFCoOp was run with hf-hub:org/model as the frozen backbone, revision 0123abcd. "
    "Few-shot: BTMRI (2 classes, 1,717 test images). Training images per class: 4 and 16. "
    "Seeds of draw and training: 1, 2 and 3. "
    'Learned context: 4 tokens from "a photo of a". Training images were seen as a new random crop in each epoch. '
    "Sentences about the classes: 50 per class by gpt4 (GPT-4, 2026-01-02). "
    "The towers computed in bf16 on NVIDIA A100 with CUDA 13.0. Versions: python 3.11.2, torch 2.14.1. "
    "Commit of the code: 9af3e4d01b2c+changes. "
    "± is the population standard deviation over seeds of each data set, averaged over data sets."
)


@pytest.fixture
def told(write_run, tmp_path):
    """told(...) -> the paragraph on all runs that were written, of one backbone."""

    def tell(change=lambda run: run) -> str:
        (group,) = group_runs(find_all(tmp_path / "output"))
        return paragraph(replace(group, runs=tuple(map(change, group.runs))))

    return tell


def test_what_the_records_tell_is_one_paragraph(write_run, told):
    for shots in (4, 16):
        for seed in (1, 2, 3):
            write_run(shots=shots, seed=seed, terms=(1, 1, 1), **TOLD)
    assert told() == WHOLE


def test_what_no_record_tells_is_left_out(write_run, told):
    write_run(trainer="CoOp", phantom=True)
    assert told() == (
        "Phantom: the images are rendered, or the backbone was trained on such; this says nothing about medical "
        "images. CoOp was run with PhantomCLIP as the frozen backbone. Few-shot: BTMRI (1 classes, 1,717 test images). "
        "Training images per class: 16. Seeds of draw and training: 1. "
        "± is the population standard deviation over seeds of each data set, averaged over data sets."
    )


def test_values_that_differ_name_their_methods(write_run, told):
    write_run(trainer="ZeroshotCLIP", **TOLD | {"views": "none", "method": {}, "sentences_per_class": 0})
    for seed in (1, 2):
        write_run(trainer="CoOp", seed=seed, **TOLD | {"views": "none", "sentences_per_class": 0})
        cpu = {"name": "cpu", "precision": "fp32", "cuda": None}
        write_run(trainer="BiomedCoOp", seed=seed, **TOLD | ({"device": cpu} if seed == 2 else {}))
    text = told()
    for clause in (
        "ZeroshotCLIP, CoOp and BiomedCoOp were run with ",
        "Without training images: ZeroshotCLIP.",
        "Seeds of draw and training: 1 and 2.",  # of the methods that draw
        "seen as they are for CoOp; as a new random crop in each epoch for BiomedCoOp.",
        "50 per class by gpt4 (GPT-4, 2026-01-02) for BiomedCoOp.",
        "bf16 on NVIDIA A100 with CUDA 13.0 for ZeroshotCLIP and CoOp; "
        "bf16 on NVIDIA A100 with CUDA 13.0 and fp32 on a CPU for BiomedCoOp.",
    ):
        assert clause in text


def test_a_value_of_some_runs_alone_does_not_pass_for_that_of_all(write_run, told):
    write_run(trainer="CoOp", seed=1, **TOLD)
    write_run(trainer="CoOp", seed=2, **{k: v for k, v in TOLD.items() if k != "commit"})
    write_run(trainer="KgCoOp", **{k: v for k, v in TOLD.items() if k not in ("commit", "versions")})
    assert "Commit of the code: 9af3e4d01b2c+changes and not recorded for CoOp." in told()
    assert "torch 2.14.1 for CoOp." in told()


def test_settings_of_training_are_told_where_a_record_has_them(write_run, told, monkeypatch):
    write_run(trainer="CoOp", **TOLD)
    write_run(trainer="TipAdapter", **TOLD)
    assert "Training: " not in told()
    settings = {"OPTIM.MAX_EPOCH": 100, "OPTIM.NAME": "sgd", "OPTIM.LR": 0.003, "OPTIM.LR_SCHEDULER": "cosine"}
    settings["DATALOADER.TRAIN_X.BATCH_SIZE"] = 4

    class WithSettings:
        def __init__(self, record, epochs):
            self.record, self.settings = record, settings | {"OPTIM.MAX_EPOCH": epochs}

        def __getattr__(self, name):
            return getattr(self.record, name)

    def change(run):
        return replace(run, record=WithSettings(run.record, 100 if run.trainer == "CoOp" else 0))

    line = "Training: 100 epochs of SGD with learning rate 0.003 on a cosine schedule in batches of 4 for CoOp."
    assert line in told(change)


@pytest.mark.parametrize("found", [{"N_CTX": ["a"] * 9}, {"N_CTX": {"a": 1}}, {"N_CTX": "x" * 101}, {"N_CTX": None}])
def test_a_setting_that_is_no_number_and_no_few_words_is_left_out(write_run, told, found):
    write_run(trainer="CoOp", **TOLD | {"method": found})
    assert "Learned context" not in told()


def test_base_to_novel_names_both_kinds_of_classes(write_run, told):
    for part, subsample, total in (("train_base", "base", 900), ("test_new", "new", 817)):
        write_run(root=f"base2new/{part}", **TOLD | {"subsample": subsample, "setting": "base2new", "total": total})
    assert (
        "Base to novel: BTMRI (base classes: 2 classes, 900 test images; novel classes: 2 classes, 817 test images)."
        in told()
    )


def test_unfinished_runs_and_ablations_do_not_count(write_run, told):
    write_run(terms=(1, 1, 1), **TOLD)
    write_run(root="ablation/x", terms=(1, 0, 1), **TOLD | {"commit": None})
    (write_run(seed=9, **TOLD) / "metrics.json").unlink()
    assert "Seeds of draw and training: 1." in told() and "not recorded" not in told()


def test_the_report_writes_it_as_markdown_latex_and_on_its_page(write_run, tmp_path, undrawn, capsys):
    write_run(trainer="CoOp", **TOLD)
    assert main([str(tmp_path / "output")]) == 0
    folder = tmp_path / "output" / "report" / "hf-hub-org-model"
    assert (folder / "implementation.md").read_text().startswith("## Implementation details: hf-hub:org/model on real")
    tex = (folder / "implementation.tex").read_text()
    assert tex.startswith("% Implementation details: hf-hub:org/model") and r"$\pm$ is" in tex
    assert "<summary>Implementation details, for a paper</summary>" in (folder.parent / "index.html").read_text()
    assert "implementation.md and .tex beside the tables" in capsys.readouterr().out


@pytest.mark.parametrize("word", HOSTILE)
def test_words_of_strangers_are_no_commands(word):
    shown = latex(word)
    plain = shown
    for code in (r"\textbackslash{}", r"\textasciicircum{}", r"\textasciitilde{}", r"\textless{}", r"\textgreater{}"):
        plain = plain.replace(code, "")
    for character in "{}$&#_%":
        plain = plain.replace(f"\\{character}", "")
    assert not set(plain) & set("\\{}$&#_%^~<>")


def test_a_value_that_is_alike_stands_once():
    assert each({"A": [1, 1], "B": [1]}, str) == "1"
    assert each({"A": [1, 2], "B, gpt4": [1]}, str) == "1 and 2 for A; 1 for B with gpt4"
    assert each({}, str) == ""
