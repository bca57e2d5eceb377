import pytest

from report.collect import find_experiments, find_runs, read_run
from report.logs import parse_log


@pytest.mark.parametrize(
    "end", ["Finish training", "Finished training", "[12:01] INFO Finished training.", "\x1b[32mFinish training\x1b[0m"]
)
def test_result_after_either_end_of_training_counts(write_log, end):
    run = read_run(write_log("exp/seed1", 77.08, end=end))
    assert run.finished
    assert run.metrics == {"accuracy": 77.08, "error": 22.9, "macro_f1": 70.1, "average": 75.4}
    assert run.seed == 1


def test_training_that_never_ended_is_unfinished_even_as_a_test_log(write_log):
    folder = write_log("exp/seed1", 77.0, end="Killed")
    for test_log in (False, True):
        run = read_run(folder, test_log)
        assert not run.finished
        assert run.metrics == {}
        assert str(folder / "log.txt") in run.problem


def test_test_log_counts_only_when_asked(write_log):
    folder = write_log("exp/seed1", 63.4, end="")
    assert "--test-log" in read_run(folder).problem
    assert read_run(folder, test_log=True).metrics["accuracy"] == 63.4


def test_last_result_counts_and_stale_metrics_go():
    log = "Finish training\n=> result\n* accuracy: 50.0%\n* macro_f1: 40.0%\n=> result\n* accuracy: 61.25%\n"
    assert parse_log(log) == {"accuracy": 61.25}


def test_training_begun_again_after_an_end_is_unfinished():
    ended = "epoch [1/1] batch\nFinish training\n=> result\n* accuracy: 50.0%\n"
    assert parse_log(ended) == {"accuracy": 50.0}
    assert parse_log(ended + "epoch [1/1] batch\n=> result\n* accuracy: 20.0%\n") == {}


def test_killed_after_training_before_its_result_is_unfinished():
    assert parse_log("=> result\n* accuracy: 50.0%\nFinish training\nEvaluate\n", test_log=True) == {}


@pytest.mark.parametrize(("text", "value"), [("100%", 100.0), ("7.5e+01%", 75.0), ("nan%", None), ("-3.5%", -3.5)])
def test_forms_of_numbers(text, value):
    assert parse_log(f"Finish training\n* accuracy: {text}\n").get("accuracy") == value


def test_newest_finished_log_counts(write_log):
    folder = write_log("exp/seed1", 50.0)
    (folder / "log.txt-2024-05-01-10-00-00").write_text((folder / "log.txt").read_text().replace("50.0%", "66.5%"))
    (folder / "log.txt-2024-05-02-10-00-00").write_text("epoch [1/2] batch\n")
    assert read_run(folder).metrics["accuracy"] == 66.5


def test_metrics_document_wins_over_the_log(write_run):
    folder = write_run(accuracy=77.084449, seed=3)
    (folder / "log.txt").write_text("Finish training\n* accuracy: 77.1%\n")
    run = read_run(folder)
    assert run.metrics["accuracy"] == 77.084449
    assert run.metrics["per_class/glioma tumor"] == 80.123
    assert (run.dataset, run.trainer, run.backbone) == ("btmri", "vMFCoOp", "PhantomCLIP")
    assert (run.shots, run.seed, run.subsample, run.phantom, run.record.seconds) == (16, 3, "all", True, 20.0)


def test_backbone_is_the_documents_not_the_folders(write_run):
    assert read_run(write_run(backbone="hf-hub:org/model", phantom=False)).backbone == "hf-hub:org/model"


def test_undefined_metrics_are_left_out(write_run):
    metrics = {"accuracy": 50.0, "auroc": None, "ece": float("nan")}
    assert read_run(write_run(metrics=metrics)).metrics == {"accuracy": 50.0}


@pytest.mark.parametrize("text", ["", '{"metrics": {"accuracy": 7', "[1]", '{"dataset": "BTMRI"}', '{"metrics": 3}'])
def test_half_written_document_is_unfinished_and_named(write_log, text):
    folder = write_log("exp/seed1", 77.0)  # its log alone would count
    (folder / "metrics.json").write_text(text)
    run = read_run(folder)
    assert not run.finished
    assert str(folder / "metrics.json") in run.problem
    assert "half-written" in run.problem


def test_folder_without_files_is_unfinished(tmp_path):
    (tmp_path / "seed1").mkdir()
    (run,) = find_runs(tmp_path)
    assert not run.finished
    assert "neither metrics.json nor log.txt" in run.problem


@pytest.mark.parametrize(("part", "kind"), [("train_base", "base"), ("test_new", "new")])
def test_identity_from_the_path_of_a_log(write_log, part, kind):
    path = f"base2new/{part}/covid/shots_8/BiomedCoOp_Biomed_CLIP/nctx4_cscFalse_ctpend/seed2"
    run = read_run(write_log(path, 80.0))
    assert (run.dataset, run.trainer, run.backbone) == ("covid", "BiomedCoOp", "Biomed_CLIP")
    assert (run.shots, run.seed, run.subsample, run.phantom) == (8, 2, kind, False)


def test_log_made_with_phantoms_is_one(write_log):
    folder = write_log("exp/seed1", 80.0)
    assert not read_run(folder).phantom
    log = folder / "log.txt"
    log.write_text("  ROOT: phantoms\n" + log.read_text())
    assert read_run(folder).phantom


def test_runs_in_natural_order_without_other_folders(write_log, tmp_path):
    for seed in (10, 2, 1):
        write_log(f"exp/seed{seed}", 50.0 + seed)
    (tmp_path / "exp" / "plots").mkdir()
    (tmp_path / "exp" / ".hidden").mkdir()
    assert [run.seed for run in find_runs(tmp_path / "exp")] == [1, 2, 10]
    assert [run.seed for run in find_runs(tmp_path / "exp" / "seed2")] == [2]
    assert find_runs(tmp_path / "absent") == []


def test_experiments_at_any_depth(write_run, write_log, tmp_path):
    for shots in (16, 2):
        write_run(shots=shots)
    (tmp_path / "output" / "empty").mkdir()
    experiments, left_out = find_experiments(tmp_path / "output")
    names = [path.relative_to(tmp_path).as_posix() for path in experiments]
    assert left_out == []
    tail = "vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend"
    assert names == [f"output/btmri/shots_2/{tail}", f"output/btmri/shots_16/{tail}", "output/empty"]
