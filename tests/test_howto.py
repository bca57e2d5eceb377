"""docs/HOWTO.md: its commands are run from top to bottom, in a small copy of the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "HOWTO.md"
BLOCK = re.compile(
    r"(?:<!-- skip unless: (?P<asked>.+?) has \"(?P<word>.+?)\" -->\n)?```(?P<kind>\w+)\n(?P<lines>.*?)```", re.S
)
LEFT_OUT = {".git", ".venv", "data", "output", "build", "docs", "tests", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
CACHES = shutil.ignore_patterns("__pycache__")
FAST = (  # jobs that are run always, in this order
    "Two runs to begin with",
    "Accuracy of each class",
    "The folder of a run",
    "Size, and clearing",
)
FEW = {"train: int = 100": "train: int = 6", "val: int = 30": "val: int = 4"}  # pictures of a phantom
FEW |= {"test_total: int = 1000": "test_total: int = 24"}


class Block(NamedTuple):
    """Commands of a job: its heading, their language, and when they are left out."""

    job: str
    kind: str
    lines: str
    asked: str
    word: str


def blocks() -> list[Block]:
    found = []
    for part in re.split(r"^### ", PAGE.read_text(), flags=re.M)[1:]:
        job = part.partition("\n")[0]
        found += [Block(job, m["kind"], m["lines"], m["asked"] or "", m["word"] or "") for m in BLOCK.finditer(part)]
    return found


class Copy:
    """A copy of the repository with few phantoms, few epochs, small weights and a user's images."""

    def __init__(self, folder: Path):
        self.folder = folder
        for path in ROOT.iterdir():
            if path.name not in LEFT_OUT and not path.name.endswith(".egg-info"):
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=ignored) if path.is_dir() else shutil.copy(
                    path, folder
                )
        self._change("datasets/phantoms/folder.py", FEW)
        for path in (folder / "configs" / "trainers").rglob("*.yaml"):
            path.write_text(re.sub(r"MAX_EPOCH: [1-9]\d*", "MAX_EPOCH: 1", path.read_text()))
        self.environment = {name: value for name, value in os.environ.items() if name not in ("DATA", "OPTS", "SEEDS")}
        self.environment |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'toolbox'}",
            "NO_VENV": "1",
            "VMFCOOP_CACHE": str(folder / "cache"),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_CACHE": str(folder / "hub"),
            "OMP_NUM_THREADS": "1",
        }

    def _change(self, name: str, words: dict[str, str]) -> None:
        text = (self.folder / name).read_text()
        for old, new in words.items():
            assert old in text
            text = text.replace(old, new)
        (self.folder / name).write_text(text)

    def run(self, lines: str, kind: str = "bash") -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", lines] if kind == "python" else ["bash", "-e", "-o", "pipefail", "-c", lines]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def done(self, block: Block) -> str | None:
        """Run a block and return what it printed; None if what it needs is not there."""
        if block.asked:
            asked = self.run(block.asked)
            if block.word not in asked.stdout + asked.stderr:
                return None
        found = self.run(block.lines, block.kind)
        assert found.returncode == 0, f"{block.job}: {block.lines}\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}"
        return found.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Copy:
    folder = tmp_path_factory.mktemp("howto")
    made = Copy(folder)
    rng = np.random.default_rng(0)
    rows = ["path,group"]
    for label, name in enumerate(("normal", "lung_cancer")):
        (folder / "chest" / name).mkdir(parents=True)
        for i in range(24):
            pixels = rng.integers(0, 120, (48, 48, 3)) + 100 * label
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "chest" / name / f"{i}.png")
            rows.append(f"{name}/{i}.png,{name}{i // 2}")
    (folder / "chest" / "groups.csv").write_text("\n".join(rows))
    return made


def records(folder: Path) -> set[str]:
    return {path.parent.relative_to(folder).as_posix() for path in folder.rglob("metrics.json")}


def test_jobs_have_a_sentence_commands_and_what_comes_out():
    for part in re.split(r"^### ", PAGE.read_text(), flags=re.M)[1:]:
        job, *paragraphs = [text.strip() for text in part.split("\n## ")[0].split("\n\n") if text.strip()]
        said = [text for text in paragraphs if "```" not in text]
        assert len(said) == 2 and said[1].startswith("Out: ") and BLOCK.search(part), job
        assert len(said[0].splitlines()) <= 2 and len(said[1].splitlines()) <= 3, job


def test_links_of_the_page_lead_somewhere():
    text = PAGE.read_text()
    heads = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.+)$", text, re.M)}
    assert set(re.findall(r"\]\(#(.+?)\)", text)) <= heads
    for name in re.findall(r"\]\(([^#)]+?)(?:#[^)]*)?\)", text):
        assert (PAGE.parent / name).is_file(), name
    assert "docs/HOWTO.md" in (ROOT / "README.md").read_text()


def test_the_first_jobs_do_what_they_say(copy):
    chosen = [block for job in FAST for block in blocks() if block.job == job]
    assert {block.job for block in chosen} == set(FAST)
    out = {block.job: copy.done(block) for block in chosen}
    vmf = "vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend_claude"
    runs = records(copy.folder / "output" / "btmri" / "shots_1")
    assert {f"{vmf}/seed{seed}" for seed in (1, 2, 3)} < runs and len(runs) == 6
    assert (copy.folder / "output/report/PhantomCLIP_phantom_images/per_class_btmri_1.tex").is_file()
    assert re.search(r"^glioma tumor +\d+\.\d\d ± ", str(out["Accuracy of each class"]), re.M)
    assert {"metrics.json", "predictions.csv", "gap.csv"} < set(str(out["The folder of a run"]).split())
    assert re.search(r"^PhantomCLIP +fp32 +\d+ ", str(out["Size, and clearing"]), re.M)
    assert "Deleted " in str(out["Size, and clearing"]) and not list((copy.folder / "cache").rglob("*.rows"))


@pytest.mark.slow
def test_every_command_runs(copy):
    from clip import testing

    testing.write_biomedclip(copy.folder / "weights" / "BiomedCLIP", small=True)
    out: dict[str, str] = {}
    left_out = []
    for block in blocks():
        printed = copy.done(block)
        if printed is None:
            left_out.append(block.job)
        else:
            out[block.job] = out.get(block.job, "") + printed
    print(f"Left out: {', '.join(left_out) or 'nothing'}")
    output = copy.folder / "output"
    runs = records(output)
    coop = "btmri/shots_1/CoOp_PhantomCLIP/nctx4_cscFalse_ctpend"
    assert {f"{coop}/seed{seed}" for seed in range(1, 6)} < runs
    assert f"{coop}__OPTIM.LR=0.001/seed1" in runs and "Finished already, nothing to do" in out["One setting"]
    assert "MAX_EPOCH: 20" in next((output / "busi/shots_1").glob("CoOp_*/*/seed1/config.yaml")).read_text()
    assert f"{coop}__OPTIM.LR=0.004/seed1" in runs
    sweep = re.findall(r"^vMFCoOp +(\S+) +\d+\.\d\d", out["A sweep of a setting"].partition("btmri: ")[2], re.M)
    assert sweep[:3] == ["0.1", "1", "10"]
    assert "busi/shots_4/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend_claude/seed3" in runs
    assert "busi" in out["One method over data sets"]
    assert any(run.startswith("folder-chest/shots_4/CoOp_PhantomCLIP/") for run in runs)
    assert any(run.startswith("btmri/shots_1/CoOp_BiomedCLIP/") for run in runs)
    assert "0 failed" in out["A crash, and several machines"]
    (record,) = (output / "btmri/shots_2").rglob("ZeroshotCLIP*/*/seed1/metrics.json")
    assert "cpu" in str(json.loads(record.read_text())["device"]).lower()
    assert "* accuracy: " in out["Mean and std"] and r"\toprule" in out["LaTeX"]
    assert (output / "report/PhantomCLIP_phantom_images/table1.tex").is_file()
    assert (copy.folder / "answers.csv").is_file() and "glioma_tumor" in out["Predict"]
    assert (output / "report/figure2.md").is_file()
    assert re.search(r"^\d+\.\d+ \{'path'", out["In a notebook"], re.M) or "Finished already" in out["In a notebook"]
    assert "Feature store: features (" in out["Where features lie"]  # in the folder that it was called in
