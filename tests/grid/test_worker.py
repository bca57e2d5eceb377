"""One job in one process: the outcomes of its runs, and the lines about those that fail."""

import pytest
from filelock import FileLock

import train
from grid import __main__ as command
from grid import local
from grid.plan import plan
from grid.run import failure_lines
from grid.worker import work
from runs import lockstep
from runs.outcome import DONE, FAILED
from tests.run_folders import record, run_folder


@pytest.fixture
def here(monkeypatch):
    """Let the grid work in this process."""
    monkeypatch.setattr(local, "run", lambda jobs, devices: ((job, work(job)) for job in jobs))


def test_base_to_novel_trains_on_base_and_tests_on_novel(grid, line, tmp_path, capsys, here):
    given = grid("coop", setting="base2new")
    (job,), _ = plan(given)
    assert [(outcome.seed, outcome.state) for outcome in work(job)] == [(1, DONE), (2, DONE)]
    output = capsys.readouterr()
    assert output.out == output.err == ""
    for seed in (1, 2):
        base, new = (run_folder(tmp_path / "base2new" / part, "CoOp", seed=seed) for part in ("train_base", "test_new"))
        assert (record(base)["subsample"], record(new)["subsample"]) == ("base", "new")
        assert "Loaded prompt_learner of epoch 4" in (new / "log.txt").read_text()
    assert plan(given) == ([], 2)
    before = (base / "metrics.json").stat().st_mtime_ns
    (new / "metrics.json").unlink()
    assert command.main(line("coop", setting="base2new")) == 0
    assert "1 runs done, 1 finished before, 0 failed." in capsys.readouterr().out
    assert (new / "metrics.json").is_file() and (base / "metrics.json").stat().st_mtime_ns == before


def test_a_failure_is_one_line_and_the_others_go_on(line, tmp_path, capsys, here, monkeypatch):
    from trainers import coop

    real = coop.CoOp.loss

    def broken(self, *batch):
        logits, terms = real(self, *batch)
        bad = self.cfg.SEED == 2 and self.epoch == 1 and type(self) is coop.CoOp
        return logits, {name: term * (float("nan") if bad else 1.0) for name, term in terms.items()}

    monkeypatch.setattr(coop.CoOp, "loss", broken)
    assert command.main(line("coop", "zeroshot")) == 1
    output = capsys.readouterr()
    (failure,) = [text for text in output.err.splitlines() if "failed:" in text]
    log = run_folder(tmp_path, "CoOp", seed=2) / "log.txt"
    assert failure.startswith("failed: CoOp on btmri, K = 2, seed 2: Expected finite loss terms, but")
    assert failure.endswith(f"(log: {log})") and "DivergedError" in log.read_text()
    assert "3 runs done, 0 finished before, 1 failed; the same command runs them again." in output.out
    assert "Traceback" not in output.err
    monkeypatch.undo()
    monkeypatch.setattr(local, "run", lambda jobs, devices: ((job, work(job)) for job in jobs))
    assert command.main(line("coop", "zeroshot")) == 0
    assert "1 runs done, 3 finished before, 0 failed." in capsys.readouterr().out
    assert "Resuming from epoch 1 of 4" in log.read_text()


def test_what_nobody_foresaw_is_told_too_and_stands_in_every_log(grid, tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("CUDA error:\n an illegal memory access")

    monkeypatch.setattr(lockstep, "step", broken)
    (job,), _ = plan(grid("coop"))
    outcomes = work(job)
    assert [(o.seed, o.state, o.unforeseen) for o in outcomes] == [(1, FAILED, True), (2, FAILED, True)]
    assert {o.reason for o in outcomes} == {"RuntimeError: CUDA error: an illegal memory access"}
    for seed in (1, 2):
        log = run_folder(tmp_path, "CoOp", seed=seed) / "log.txt"
        assert log.read_text().count("Traceback") == 1 and outcomes[seed - 1].log == log
    (text,) = failure_lines(job, outcomes)
    assert text.startswith("failed: CoOp on btmri, K = 2, seeds 1 2: RuntimeError: CUDA error: an illegal")


def test_a_run_of_another_process_is_left_to_it(line, tmp_path, capsys, here):
    folder = run_folder(tmp_path, "CoOp", seed=1, changed="OPTIM.MAX_EPOCH=4")
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        assert command.main(line("coop")) == 0
    output = capsys.readouterr()
    assert f"left: CoOp on btmri, K = 2, seed 1: another process is working on {folder}" in output.err
    assert "1 runs done, 0 finished before, 1 left to other processes, 0 failed." in output.out
    assert not (folder / "metrics.json").exists() and record(run_folder(tmp_path, "CoOp", seed=2))["seed"] == 2


def test_a_missing_data_set_and_results_of_other_settings(grid, line, tmp_path):
    (job,), _ = plan(grid("coop", root="nowhere"))
    reasons = {outcome.reason for outcome in work(job)}
    assert len(reasons) == 1 and "Expected BTMRI in nowhere" in reasons.pop()
    for seed in (1, 2):
        (job,), _ = plan(grid("coop", seeds=seed))
        assert [outcome.state for outcome in work(job)] == [DONE]
    path = run_folder(tmp_path, "CoOp", seed=2) / "metrics.json"
    path.write_text(path.read_text().replace(record(path.parent)["hashes"]["config"], "0" * 16))
    (job,), finished = plan(grid("coop"))
    assert (job.seeds, finished) == ((2,), 1)
    (outcome,) = work(job)
    assert outcome.state == FAILED and "but its run had other settings" in outcome.reason
    assert train.main(["--trainer", "CoOp", "--dataset", "btmri", "--shots", "2", "--seed", "1", *_rest(line)]) == 0


def _rest(line) -> list[str]:
    """What a command line of train.py has in common with one of the grid."""
    words = line("coop")
    return [*words[4 : words.index("--methods")], *words[words.index("OPTIM.MAX_EPOCH") :]]
