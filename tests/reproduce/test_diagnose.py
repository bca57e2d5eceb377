"""What a short run of vMFCoOp tells about itself."""

import re
import shutil

import pytest
import torch

import train
from reproduce import diagnose
from tests.run_folders import learned, run_folder
from trainers.losses import annealed_temperature, spherical_contrastive_loss

EPOCHS = 3


@pytest.fixture(scope="module")
def trained(data_root, tmp_path_factory):
    """trained(trainer, KEY, value, ...) -> folder of a finished run."""

    def run(trainer: str, *opts):
        output = tmp_path_factory.mktemp("output")
        line = f"--root {data_root} --backbone PhantomCLIP --dataset btmri --shots 2 --seed 1 --trainer {trainer}"
        opts = ("OPTIM.MAX_EPOCH", EPOCHS, "DATALOADER.NUM_WORKERS", 0, "OPTIM.LR", 0.1, *opts)
        assert train.main([*line.split(), "--output", str(output), *map(str, opts)]) == 0
        return run_folder(output, trainer)

    return run


@pytest.fixture(scope="module")
def folder(trained):
    return trained("vMFCoOp")


@pytest.fixture(scope="module")
def found(folder, data_root):
    """The tables as {first header: {first cell: {header: cell}}}."""
    return {
        headers[0]: {row[0]: dict(zip(headers[1:], row[1:], strict=True)) for row in rows}
        for headers, rows in diagnose.tables(folder, root=str(data_root))
    }


def test_cosines_are_those_of_the_log(folder, found):
    log = (folder / "log.txt").read_text()
    ((anchors, means),) = re.findall(r"between anchors: (\S+) \(between the LLM's mean directions: (\S+)\)", log)
    cosines = found["cosines between classes"]
    assert (cosines["anchors u"]["mean"], cosines["LLM means"]["mean"]) == (anchors, means)
    assert cosines["anchors u"]["to own anchor"] == "1.000"
    for row in cosines.values():
        assert float(row["min"]) <= float(row["mean"]) <= float(row["max"])


def test_offsets_start_at_nothing_and_take_what_they_take(folder, found):
    before, after = found["offsets"]["before"], found["offsets"]["after"]
    assert (before["alpha"], before["|alpha delta|"], before["taken by offsets"]) == ("0.1000", "0.00e+00", "0.0 %")
    assert before["L_anc"] == before["L_anc without"] == found["loss term"]["anc"]["size before"]
    state = learned(folder, "anchor_offsets")
    shift = (state["log_alpha"].exp() * state["delta"]).norm(dim=-1).mean().item()
    assert float(after["|alpha delta|"]) == pytest.approx(shift, rel=0.01) and shift > 0
    kept, bare = float(after["L_anc"]), float(after["L_anc without"])
    assert float(after["taken by offsets"].removesuffix(" %")) == pytest.approx(100 * (1 - kept / bare), abs=0.1)


def test_terms_before_and_after_are_those_of_the_first_and_last_step(folder, found, data_root):
    trainer, terms = diagnose.load_trainer(folder, root=str(data_root)), found["loss term"]
    assert list(terms) == ["ce", "reverse", "anc", "sc"]
    for when, temperature in (("before", 1.0), ("after", annealed_temperature(5, 6, 1.0, 10.0))):  # 3 epochs of 2 steps
        if when == "after":
            assert trainer.resume_model_if_exist(str(folder)) == EPOCHS
        with torch.no_grad():
            loss = spherical_contrastive_loss(trainer.prompt_features(), trainer.anchors, temperature)
        assert float(terms["sc"][f"size {when}"]) == pytest.approx(loss.item(), abs=1e-4)
    assert terms["ce"]["cosine with ce's before"] == terms["ce"]["cosine with ce's after"] == "+1.00"


def test_gradients_are_those_of_the_whole_support_set(folder, found, data_root):
    """A finite difference along the gradient of cross-entropy agrees with its norm."""
    trainer = diagnose.load_trainer(folder, root=str(data_root))
    start, ctx, step = diagnose.moment_at(trainer, 0, 0), trainer.prompt_learner.ctx, 1e-2
    gradient = start.gradients["ce"]
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            ctx += sign * step * (gradient / gradient.norm()).view_as(ctx)
        values.append(diagnose.moment_at(trainer, 0, 0).terms["ce"])
        with torch.no_grad():
            ctx -= sign * step * (gradient / gradient.norm()).view_as(ctx)
    slope = (values[0] - values[1]) / (2 * step)
    assert slope == pytest.approx(gradient.norm().item(), rel=0.02)
    assert float(found["loss term"]["ce"]["gradient before"]) == pytest.approx(slope, rel=0.02)


def test_the_share_of_the_reverse_term(found):
    facts = {name: next(iter(row.values())) for name, row in found[""].items()}
    ce, reverse = (float(found["loss term"][name]["size before"]) for name in ("ce", "reverse"))
    share = float(facts["reverse term's share of L_SCE"].split()[0])
    assert share == pytest.approx(100 * reverse / (ce + reverse), abs=0.1) and share > 0
    assert facts["LAMBDA_ANC, LAMBDA_SC, SCE_EPS"] == "1, 1, 0.01"


def test_terms_that_are_off_are_not_shown(trained, capsys, data_root):
    off = ("TRAINER.VMFCOOP.SCE", False, "TRAINER.VMFCOOP.LAMBDA_ANC", 0.0, "TRAINER.VMFCOOP.LAMBDA_SC", 0.0)
    folder = trained("vMFCoOp", *off)
    capsys.readouterr()
    assert diagnose.main([str(folder), "--root", str(data_root)]) == 0
    printed = capsys.readouterr().out
    assert "offsets" not in printed and "reverse" not in printed
    assert [line.split()[0] for line in printed.splitlines() if re.match(r"(ce|anc|sc)\s", line)] == ["ce"]


def test_errors_are_a_sentence(trained, folder, tmp_path, capsys, data_root):
    def error(path) -> str:
        assert diagnose.main([str(path), "--root", str(data_root)]) == 1
        return capsys.readouterr().err

    assert f"Expected a run's config.yaml in {tmp_path}, but there is none" in error(tmp_path)
    assert "Expected a run of vMFCoOp, but" in error(trained("CoOp"))
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(folder / "config.yaml", begun)
    assert f"Expected a finished run in {begun}, but it is at epoch 0 of 3: resume it." in error(begun)
    begun.joinpath("config.yaml").write_text((folder / "config.yaml").read_text().replace(": all\n", ": new\n"))
    assert f"Expected a run that has learned, but {begun} tests novel classes" in error(begun)
