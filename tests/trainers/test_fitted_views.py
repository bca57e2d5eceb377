"""What the linear probe and LP++ see of a training image: no random view, one, or many, and which crops."""

import pytest
import torch
from torchvision.transforms import RandomHorizontalFlip, RandomResizedCrop

from dassl.errors import UserError
from tests.trainers.helpers import Store
from trainers.base.labels import labels_of

METHODS = ("LinearProbe", "LPpp")
OPTS = ("OPTIM.MAX_EPOCH", 0)

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("views", "numbers"), [("none", [-1]), ("one", [0]), ("many", [0, 1, 2])])
def test_a_fit_gets_the_views_that_are_asked_for(build, monkeypatch, method, views, numbers):
    node = f"TRAINER.{method.upper()}"
    trainer = build(method, *OPTS, f"{node}.VIEWS", views, f"{node}.N_VIEWS", 3)
    trainer.store, given = Store(), []
    monkeypatch.setattr(trainer, "fit", lambda features, labels: given.append((features, labels)))
    trainer.before_train()
    ((features, labels),) = given
    assert features[:, 1].tolist() == [float(number) for number in numbers for _ in range(8)]
    assert features[:, 0].tolist() == [len(item.impath) for item in trainer.train_items] * len(numbers)
    assert labels.tolist() == labels_of(trainer.train_items).tolist() * len(numbers)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_fitted_depends_on_the_views(build, tmp_path, method):
    node, found = f"TRAINER.{method.upper()}", []
    for views in ("none", "one", "many"):
        trainer = build(method, *OPTS, f"{node}.VIEWS", views, output=tmp_path / views)
        trainer.before_train()
        found.append(trainer.logits(trainer.plain_features(trainer.train_items)))
        assert torch.isfinite(found[-1]).all()
    assert not any(torch.allclose(a, b, atol=1e-3) for a, b in zip(found, found[1:] + found[:1], strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_the_published_view_is_a_crop_of_half_the_image_or_more_that_may_be_flipped(build, method):
    published = build(f"{method}:published", *OPTS)
    crop, flip = published.train_transform.transforms[:2]
    assert isinstance(crop, RandomResizedCrop) and crop.scale == (0.5, 1.0)
    assert isinstance(flip, RandomHorizontalFlip) and flip.p == 0.5
    assert published.seen == "one" and build(method, *OPTS).seen == "none"


@pytest.mark.parametrize(
    ("method", "key"),
    [("LinearProbe", "SEARCH"), ("LPpp", "W_START"), ("LPpp", "EQUALS"), ("ProGrad", "TEACHER")],
)
def test_a_way_that_does_not_exist_is_refused(build, method, key):
    with pytest.raises(UserError, match=f"Expected TRAINER.{method.upper()}.{key} to be one of .*, but got 'other'"):
        build(method, *OPTS, f"TRAINER.{method.upper()}.{key}", "other")
