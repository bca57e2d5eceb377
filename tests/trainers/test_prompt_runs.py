"""What the base promises of a run, for the prompt methods that the paper compares with."""

import pytest

import train
from tests.run_folders import alike, record, run_folder

pytestmark = pytest.mark.parametrize("trainer", ["CoCoOp", "KgCoOp", "ProGrad"])


def test_seeds_together_learn_what_they_learn_alone_and_differ(flags, tmp_path, trainer):
    assert train.main(flags(trainer, output=tmp_path / "together", more=("--seed", 1, 2, 3))) == 0
    assert train.main(flags(trainer, output=tmp_path / "alone", seed=2)) == 0
    together = [run_folder(tmp_path / "together", trainer, seed=seed) for seed in (1, 2, 3)]
    alone = run_folder(tmp_path / "alone", trainer, seed=2)
    assert alike(together[1], alone)
    assert not alike(together[0], alone) and not alike(together[2], alone)


def test_a_prompt_learned_on_base_classes_meets_novel_ones(flags, tmp_path, trainer):
    protocol = ("--setting", "base2new", "--subsample")
    assert train.main(flags(trainer, more=(*protocol, "base"))) == 0
    assert train.main(flags(trainer, more=(*protocol, "new", "--eval-only"))) == 0
    base = record(run_folder(tmp_path / "base2new" / "train_base", trainer))
    new = record(run_folder(tmp_path / "base2new" / "test_new", trainer))
    assert list(base["metrics"]["per_class"]) == ["glioma tumor", "meningioma tumor"]
    assert list(new["metrics"]["per_class"]) == ["pituitary tumor", "normal brain"]


def test_each_seed_draws_its_own_images(build, trainer):
    drawn = [build(trainer, seed=seed).train_items for seed in (1, 2, 3)]
    assert len({tuple(item.impath for item in items) for items in drawn}) == 3
