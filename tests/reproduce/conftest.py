"""Runs of figures in this process, on a miniature data set with a backbone in memory, and small banks of sentences."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from datasets import prompts
from grid import local
from grid.worker import work
from reproduce import series
from tests.conftest import CLASSES


@pytest.fixture
def banks(tmp_path, monkeypatch):
    """Two LLMs' sentences about BTMRI, 12 by "wordy" and 6 by "brief" for each class, in place of ours."""
    for llm, count in (("wordy", 12), ("brief", 6)):
        (tmp_path / "banks" / llm).mkdir(parents=True)
        texts = {name: [f"{llm} words of number {i} on {name}" for i in range(count)] for name in CLASSES}
        (tmp_path / "banks" / llm / "btmri.json").write_text(json.dumps({"prompts": texts}))
    monkeypatch.setattr(prompts, "FOLDER", tmp_path / "banks")


@pytest.fixture
def jobs(monkeypatch, tiny):
    """The jobs that the grid does, in this process; those of a trainer and shots in `jobs.broken` fail."""

    class Jobs(list):
        broken = ()

    done = Jobs()

    def run(waiting, devices):
        for job in waiting:
            done.append(job)
            options = (("OPTIM.LR", "no number"),) if (job.trainer, job.shots) in done.broken else ()
            yield job, work(replace(job, options=(*job.options, *options)))

    monkeypatch.setattr(local, "run", run)
    real = series.build_backbone
    monkeypatch.setattr(series, "build_backbone", lambda name: tiny if name == "PhantomCLIP" else real(name))
    return done


@pytest.fixture
def figure(data_root, tmp_path):
    """figure(*flags, opts=(KEY, value, ...)) -> a command line of two seeds and one epoch on the miniature data set."""

    def make(*flags, shots=(1, 2), opts=()) -> list[str]:
        line = ["--datasets", "btmri", "--root", data_root, "--seeds", 1, 2, "--output", tmp_path / "output"]
        line += ["--shots", *shots, *flags, "OPTIM.MAX_EPOCH", 1, "DATALOADER.NUM_WORKERS", 0, *opts]
        return [str(word) for word in line]

    return make


def table(page: Path) -> list[list[str]]:
    """The rows of the table of a page."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
