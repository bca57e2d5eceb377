"""A method of one's own, exactly as README says: one file, one yaml, two lines in a shell."""

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
from tests.code_copies import copy_code, run_there
from tests.run_folders import learned, run_folder
from trainers import register_all
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.prompt_trainer import PromptTrainer

ROOT = Path(train.__file__).parent
CLASSES = ["glioma tumor", "meningioma tumor", "pituitary tumor", "normal brain"]


def blocks() -> list[str]:
    """The code blocks of README's paragraph."""
    paragraph = (ROOT / "README.md").read_text().partition("**A method of your own**")[2].partition("\n## ")[0]
    return re.findall(r"```\w+\n(.*?)```", paragraph, re.DOTALL)


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


@pytest.mark.slow
def test_one_file_and_one_yaml_are_run_and_tabled(images, tmp_path):
    copy = copy_code(tmp_path / "code")
    *files, shell = blocks()
    for text in files:
        path = copy / text.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    given = {"DATA": str(images), "BACKBONE": "PhantomCLIP", "SEEDS": "1"}
    given |= {"OPTS": "OPTIM.MAX_EPOCH 1 DATALOADER.NUM_WORKERS 0"}
    shell = shell.replace("mymethod btmri 16\n", "mymethod btmri 16 PhantomCLIP\n")  # with DATA it would be BiomedCLIP
    assert " zeroshot coop mymethod" in shell
    shell = shell.replace(" zeroshot coop", "")  # other tests run these
    done = run_there(copy, "bash", "-ec", shell, **given)
    assert done.returncode == 0, done.stderr
    assert "Finished already" in done.stdout  # the second line finds the run of the first one
    rows = [line.split()[0] for line in done.stdout.partition("mean ± std over seeds")[2].splitlines() if line]
    assert "MyMethod" in rows


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
