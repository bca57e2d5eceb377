"""docs/NOTEBOOK.md and the notebook's lines in README: every line is run, in a folder of its own."""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks(name: str, after: str = "") -> list[str]:
    """The Python of a document."""
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text().partition(after)[2], re.DOTALL)


@pytest.fixture
def few_phantoms(tmp_path, monkeypatch):
    """Phantoms of a few images, in a folder of the test, which is the one that it is in."""
    from datasets import phantoms
    from datasets.phantoms.folder import Counts

    few = functools.partial(phantoms.prepare, counts=Counts(train=3, val=2, test_total=12), progress=False)
    monkeypatch.setattr(phantoms, "prepare", few)
    monkeypatch.setattr("datasets.base.PHANTOM_ROOT", tmp_path / "phantoms")
    monkeypatch.chdir(tmp_path)


def test_every_line_of_the_document_runs(few_phantoms, tmp_path):
    found: dict = {}
    for block in blocks("docs/NOTEBOOK.md", "# "):
        exec(compile(block, "docs/NOTEBOOK.md", "exec"), found)
    (result,) = found["run"](
        trainer="vMFCoOp", dataset="btmri", shots=2, seeds=1, root="phantoms", options={"OPTIM.MAX_EPOCH": 2}
    )
    assert result.state == "finished before"
    assert result.folder == Path(
        "output/btmri/shots_2/vMFCoOp_PhantomCLIP/nctx4_cscFalse_ctpend_claude__OPTIM.MAX_EPOCH=2/seed1"
    )
    assert result.record.metrics["accuracy"] == found["result"].record.metrics["accuracy"]
    assert [row["path"] for row in result.predictions] == [
        Path(path).relative_to(found["data"].images).as_posix() for path in found["data"].paths("test")
    ]
    *good, bad = found["pictures"]
    assert [each.predicted for each in good] == [row["predicted"] for row in result.predictions]
    assert bad.error and not any(each.error for each in good)
    assert found["features"].shape == (12, 256) and len(found["accuracies"]) == 2
    assert found["field"].mu.shape == (256,)


def test_a_run_encodes_nothing_that_the_notebook_has_encoded(few_phantoms, capsys):
    from vmfcoop import FeatureStore, build_backbone, load_dataset, run

    data = load_dataset("btmri", root="phantoms", shots=2, seed=1)
    FeatureStore(build_backbone("PhantomCLIP")).images(data.paths("test"))
    capsys.readouterr()
    run(trainer="zeroshot", dataset="btmri", shots=2, seeds=1, root="phantoms")
    assert "Encoded" not in capsys.readouterr().out


def test_a_run_that_fails_raises_its_error(few_phantoms):
    from dassl.errors import UserError
    from vmfcoop import run

    with pytest.raises(UserError, match=r"no key OPTIM\.LRR"):
        run(trainer="coop", dataset="btmri", shots=2, seeds=1, root="phantoms", options={"OPTIM.LRR": 1})


def test_the_lines_in_readme_run(few_phantoms):
    (block,) = blocks("README.md", "## In a notebook")[:1]
    found: dict = {}
    exec(
        compile(
            block.replace("shots=16", "shots=2").replace(
                'root="phantoms")\nprint', 'root="phantoms", options={"OPTIM.MAX_EPOCH": 1})\nprint'
            ),
            "README.md",
            "exec",
        ),
        found,
    )
    assert found["result"].state == "done"


def python(code: str, folder: Path, *paths: Path) -> subprocess.CompletedProcess:
    env = {"PATH": "", "PYTHONPATH": ":".join(map(str, paths)), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture
def installed(tmp_path) -> Path:
    """What an editable installation adds to the path: `vmfcoop`, which lies in the repository."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "vmfcoop").symlink_to(ROOT / "vmfcoop")
    return tmp_path / "site"


def test_the_geometry_loads_no_model_library(installed, tmp_path):
    code = "import sys; from vmfcoop import vmf, losses, posterior; print(*{n.partition('.')[0] for n in sys.modules})"
    done = python(code, tmp_path, installed)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"torch", "trainers"} <= loaded
    assert not loaded & {
        "clip",
        "datasets",
        "open_clip",
        "transformers",
        "timm",
        "torchvision",
        "sklearn",
        "matplotlib",
    }


def test_a_specification_needs_no_pytorch(installed, tmp_path):
    done = python("import sys; from vmfcoop import RunSpec; print('torch' in sys.modules)", tmp_path, installed)
    assert done.stdout.split() == ["False"], done.stderr


def test_another_package_of_the_same_name_is_told(installed, tmp_path):
    (tmp_path / "other" / "datasets").mkdir(parents=True)
    (tmp_path / "other" / "datasets" / "__init__.py").touch()
    done = python("import datasets, vmfcoop", tmp_path, tmp_path / "other", installed)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: Expected the package datasets of {ROOT}, but another one has been imported")
    assert str(tmp_path / "other" / "datasets") in last
    assert python("import vmfcoop, datasets", tmp_path, tmp_path / "other", installed).returncode == 0


def test_a_name_that_is_not_there_is_told():
    import vmfcoop

    with pytest.raises(AttributeError, match=r"Expected one of FeatureStore, .*, but got vmfcoop\.nothing"):
        _ = vmfcoop.nothing
    assert {"run", "vmf", "RunSpec"} <= set(dir(vmfcoop))
