"""A method, a data set, a bank and images of one's own, exactly as README and DATASETS.md say."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy, dropout

import train
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from runs.methods import ALL, METHODS, read_methods
from tests.code_copies import copy_code
from tests.fenced_blocks import blocks, run_shell, shell, write_files
from tests.run_folders import learned, run_folder
from trainers import register_all
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.prompt_trainer import PromptTrainer

ROOT = Path(train.__file__).parent
CLASSES = ["glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain"]


@pytest.fixture
def images(tmp_path) -> Path:
    """A BTMRI with 16 training images per class."""
    rng, split = np.random.default_rng(0), {"train": [], "val": [], "test": []}
    for part, count in (("train", 16), ("val", 4), ("test", 4)):
        for label, name in enumerate(CLASSES):
            folder = tmp_path / "images" / "BTMRI" / "BTMRI" / name.replace(" ", "_")
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = rng.normal(40 + 50 * label, 12, (64, 64)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).convert("RGB").save(folder / f"{part}{i}.png")
                split[part].append([f"{folder.name}/{part}{i}.png", label, name])
    (tmp_path / "images" / "BTMRI" / "split_BTMRI.json").write_text(json.dumps(split))
    return tmp_path / "images"


@pytest.fixture
def code(tmp_path) -> Path:
    return copy_code(tmp_path / "code")


@pytest.mark.slow
def test_one_file_and_one_yaml_are_run_and_tabled(code, images):
    found = blocks(ROOT / "README.md", "**A method of your own**", "**A data set of your own**")
    assert [language for language, _ in found] == ["python", "yaml", "bash"]
    write_files(code, found)
    lines = shell(found)
    assert " zeroshot coop mymethod" in lines
    done = run_shell(code, lines.replace(" zeroshot coop", ""), DATA=str(images))  # other tests run these
    assert done.returncode == 0, done.stderr
    assert "Finished already" in done.stdout  # the second line finds the run of the first one
    rows = [line.split()[0] for line in done.stdout.partition("mean ± std over seeds")[2].splitlines() if line]
    assert "MyMethod" in rows
    logs = [path.read_text() for path in sorted((code / "output").rglob("log.txt"))]
    assert len(logs) == 2 and all("configs/trainers/MyMethod/few_shot.yaml" in log for log in logs)
    settings = {re.search(r"SMOOTHING: (.*)", path.read_text())[1] for path in (code / "output").rglob("config.yaml")}
    assert settings == {"0.2", "0.3"}, "of the yaml, and of the option"


def draw(path: Path, label: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).normal(60 + 80 * label, 12, (64, 64)).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert("RGB").save(path)


@pytest.mark.slow
def test_a_class_of_few_lines_is_a_data_set(code):
    found = blocks(ROOT / "README.md", "**A data set of your own**", "**A bank of your own**")
    (path,) = write_files(code, found)
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(lines[lines.index("@DATASET_REGISTRY.register()") :]) <= 7
    (split,) = [json.loads(text) for language, text in found if language == "json"]
    bare = run_shell(code, shell(found))
    assert bare.returncode == 1 and "bring it there (README, A data set of your own)" in bare.stderr
    for items in split.values():
        for number, (name, label, _) in enumerate(items):
            draw(code / "data" / "Chest" / "Chest" / name, label, number)
    (code / "data" / "Chest" / "split_Chest.json").write_text(json.dumps(split))
    done = run_shell(code, shell(found))
    assert done.returncode == 0, done.stderr
    (record,) = (code / "output" / "chest").rglob("metrics.json")
    assert set(json.loads(record.read_text())["metrics"]["per_class"]) == {"normal", "lung cancer"}


@pytest.mark.slow
def test_a_bank_of_ones_own_is_read(code, images):
    found = blocks(ROOT / "README.md", "**A bank of your own**", "\n## ")
    done = run_shell(code, shell(found), DATA=str(images))
    assert done.returncode == 0, done.stderr
    (record,) = (code / "output" / "btmri").rglob("metrics.json")
    assert record.parents[1].name.startswith("nctx4_cscFalse_ctpend_my-llm__")
    held = json.loads(record.read_text())
    assert (held["prompts"]["model"], held["sentences_per_class"]) == ("my LLM 1.0", 2)


@pytest.mark.slow
def test_the_example_with_own_images_runs_as_written(code):
    found = blocks(ROOT / "DATASETS.md", "### One folder per class", "### A table")
    for number in range(8):
        draw(code / "chest" / "normal" / f"a{number}.png", 0, number)
        draw(code / "chest" / "lung_cancer" / f"c{number}.png", 1, number)
    lines = shell(found)
    assert lines.count("few_shot.sh folder 4") == 3
    done = run_shell(code, lines, "DATALOADER.NUM_WORKERS 0")
    assert done.returncode == 0, done.stderr
    trained = {path.parents[2].name for path in (code / "output" / "folder-chest").rglob("metrics.json")}
    assert trained == {"ZeroshotCLIP_PhantomCLIP", "CoOp_PhantomCLIP", "vMFCoOp_PhantomCLIP"}
    (code / "chest" / "prompts.json").unlink()
    again = run_shell(code, "DATA=chest OUTPUT=other bash scripts/vmfcoop/few_shot.sh folder 4")
    assert again.returncode == 1 and "classes of chest in chest/prompts.json, but there" in again.stderr


def test_the_catalogue_says_what_the_classes_say():
    register_all()
    ours = {name: TRAINER_REGISTRY.get(name) for name in TRAINER_REGISTRY.registered_names()}
    ours = {name: cls for name, cls in ours.items() if issubclass(cls, FeatureTrainer)}
    assert set(METHODS.values()) == set(ours)
    for method in ALL:
        cls = ours[method.trainer]
        assert method.short == vars(cls).get("short", method.trainer.lower())
        assert method.seedless == vars(cls).get("seedless", False)
        assert method.closed_set == cls.closed_set
    assert {method.short for method in ALL if method.seedless} == {"zeroshot", "ensemble"}


SOURCE = """
@TRAINER_REGISTRY.register()
class B(A):
    '''Mine.'''
    short, seedless = "no", 1
    seedless = True

class A(Base):
    short, closed_set = "a", False
    closed_set = True

@TRAINER_REGISTRY.register(force=True)
class CoOp(Base):
    short, title = "c", "no"
    short = "c"
    title = "Context"
"""


def test_what_is_registered_is_found_and_nothing_else(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    assert read_methods(tmp_path) == [("B", "b", True, True, "B"), ("CoOp", "c", False, False, "Context")]


def test_two_methods_of_one_short_name_are_told(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE + SOURCE.replace("class B(A)", "class C(A)").replace("CoOp", "D"))
    with pytest.raises(UserError, match=r'are both "c": set another `short`'):
        read_methods(tmp_path)


def test_a_method_that_draws_in_its_step_draws_in_company_what_it_draws_alone(flags, tmp_path, monkeypatch):
    class Drawing(PromptTrainer):
        """CoOp with dropout on the features, and a weight that NumPy and Python draw."""

        def prompts(self, features):
            embeddings, tokens = super().prompts(features)
            return embeddings + 0.01 * torch.randn_like(embeddings), tokens

        def loss(self, features, labels, prompts):
            import random

            logits = self.cosine_logits(dropout(features, 0.5), prompts)
            return logits, {"ce": (random.random() + np.random.rand()) * cross_entropy(logits, labels)}

    monkeypatch.setitem(TRAINER_REGISTRY._objects, "Drawing", Drawing)
    opts = ("OPTIM.LR", 0.01, "DATALOADER.TRAIN_X.BATCH_SIZE", 4)
    for seed in (1, 2, 3):
        assert train.main(flags("Drawing", *opts, output=tmp_path / "alone", seed=seed)) == 0
    assert train.main(flags("Drawing", *opts, output=tmp_path / "together", more=("--seed", 1, 2, 3))) == 0
    for seed in (1, 2, 3):
        alone, together = (
            learned(run_folder(tmp_path / output, "Drawing", seed=seed))["ctx"] for output in ("alone", "together")
        )
        assert torch.allclose(alone, together, atol=1e-5, rtol=0)
