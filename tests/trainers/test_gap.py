"""What all images have in common against what tells them apart: known answers."""

import pytest
import torch

from trainers.gap import OPEN_AXIS, Side, decisive, measure, plane, spread_out, two_sides

NAMES = ["a", "b"]
IMAGES = torch.tensor([[3.0, 1.0, 0.0], [3.0, -1.0, 0.0], [3.0, 1.0, 0.0], [3.0, -1.0, 0.0]])
TEXTS = torch.tensor([[2.0, 0.5, 7.0], [-2.0, -0.5, 7.0]])
CENTRE = torch.tensor([3.0, 0.0, 0.0])
LABELS = torch.tensor([0, 1, 0, 1])


def test_the_constant_and_the_images_part_in_one_unit():
    """The logits are 6 and -6 for all images, and +-0.5 for each: the constant is 12 times what images make."""
    before, after = two_sides(IMAGES, TEXTS, CENTRE)
    assert (before.common, before.spread) == pytest.approx((6.0, 0.5))
    assert after.common == pytest.approx(0.0)
    assert after.spread == pytest.approx(0.5 / 4.25**0.5)  # the directions in units of their distance from their mean


def test_they_are_the_parts_of_the_logits():
    g = torch.Generator().manual_seed(0)
    images, texts = torch.randn(50, 6, generator=g).double(), torch.randn(4, 6, generator=g).double()
    side = Side(images, texts, images.mean(dim=0))
    relative = images @ texts.T
    relative = relative - relative.mean(dim=1, keepdim=True)
    shared = relative.mean(dim=0)
    assert side.common == pytest.approx(shared.square().mean().sqrt().item())
    assert side.spread == pytest.approx((relative - shared).square().mean().sqrt().item())


def test_neither_a_shift_of_all_texts_nor_one_of_the_scene_of_all_images_counts():
    before, _ = two_sides(IMAGES, TEXTS, CENTRE)
    shifted, _ = two_sides(IMAGES + 5, TEXTS + 9, CENTRE)
    assert (shifted.common, shifted.spread) == pytest.approx((before.common, before.spread), rel=1e-5)


def test_what_test_images_share_beyond_the_support_images_stays_after_centring():
    _, after = two_sides(IMAGES + torch.tensor([1.0, 0.0, 0.0]), TEXTS, CENTRE)
    assert after.common == pytest.approx(2.0 / 4.25**0.5)


def test_directions_that_are_tested_take_the_place_of_centred_texts():
    tested = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    before, after = two_sides(IMAGES, TEXTS, CENTRE, tested)
    assert torch.equal(before.directions, TEXTS.double()) and torch.equal(after.directions, tested.double())
    assert (after.common, after.spread) == pytest.approx((0.0, 1.0))


def test_figures_and_lines():
    sides = two_sides(IMAGES, TEXTS, CENTRE)
    gap = measure(torch.tensor([0, 0, 0, 1]), LABELS, NAMES, sides)
    assert (gap.figures["predicted"], gap.figures["predicted_share"]) == ("a", 75.0)
    assert (gap.figures["largest"], gap.figures["largest_share"]) == ("a", 50.0)
    shares, parts = gap.lines()
    assert "75.0% of the images are predicted as a" in shares and "a, has 50.0%" in shares
    assert "by 12.00 times what images do; after centring by 0.00 times" in parts


def test_without_directions_shares_alone():
    gap = measure(LABELS, LABELS, NAMES, None)
    assert len(gap.lines()) == 1 and gap.points is None
    assert set(gap.figures) == {"predicted", "predicted_share", "largest", "largest_share"}


def test_equal_images_make_nothing():
    gap = measure(LABELS, LABELS, NAMES, two_sides(CENTRE.expand(4, 3), TEXTS, CENTRE))
    assert "images do nothing" in gap.lines()[1]
    assert gap.points is not None and all(part.isfinite().all() for part in (*gap.points.before, *gap.points.after))


def test_one_class():
    gap = measure(torch.tensor([0, 0]), torch.tensor([0, 0]), ["a"], two_sides(IMAGES[:2], TEXTS[:1], CENTRE))
    assert gap.figures["common"] == 0 and all(part.isfinite().all() for part in gap.points.after)


def test_the_picture_has_a_part_of_the_images_evenly_from_all_classes():
    labels = torch.arange(1000) % 4
    chosen = spread_out(labels)
    assert len(set(chosen.tolist())) == 300 and labels[chosen].bincount().tolist() == [75] * 4
    assert spread_out(torch.tensor([1, 0])).tolist() == [1, 0]


def test_before_centring_the_way_between_images_and_texts_is_seen_however_few_texts_there_are():
    """Images scatter by 2 along y, texts lie 3 apart from them along x, where 300 images to 2 texts would hide them."""
    g = torch.Generator().manual_seed(0)
    images = torch.cat([torch.zeros(300, 1), 2 * torch.randn(300, 1, generator=g), torch.zeros(300, 2)], dim=1)
    texts = torch.tensor([[5.0, 0.0, 0.1, 0.0], [5.0, 0.0, -0.1, 0.0]])
    axes = plane(two_sides(images, texts, images.mean(dim=0))[0])
    assert torch.allclose(axes, torch.eye(4).double()[:2], atol=0.1)


def test_after_centring_the_plane_is_that_of_the_directions():
    """Three classes in x and y; along z, where images scatter most, nothing is decided."""
    g = torch.Generator().manual_seed(0)
    images = torch.randn(200, 3, generator=g).double() * torch.tensor([1.0, 1.0, 50.0])
    directions = torch.tensor([[1.0, 0.0, 0.0], [-0.6, 0.8, 0.0], [-0.6, -0.8, 0.0]]).double()
    side = Side(images, directions, images.mean(dim=0))
    shown, stars = decisive(side)
    assert torch.equal((shown @ stars.T).argmax(dim=1), (images @ directions.T).argmax(dim=1))
    assert shown.square().mean().item() == pytest.approx(1)


def test_two_classes_leave_an_axis_to_the_images():
    """Directions along x; images scatter by 0.1 along x, and most across it along z."""
    g = torch.Generator().manual_seed(0)
    images = torch.randn(200, 3, generator=g).double() * torch.tensor([0.1, 1.0, 4.0])
    shown, stars = decisive(
        Side(images, torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]).double(), images.mean(dim=0))
    )
    assert torch.allclose(stars.abs(), torch.tensor([[1.0, 0.0]]).double(), atol=100 * OPEN_AXIS)
    assert torch.corrcoef(torch.stack([shown[:, 1], images[:, 2]]))[0, 1].abs() > 0.95
    assert shown.square().mean(dim=0).tolist() == pytest.approx([1.0, 1.0])
