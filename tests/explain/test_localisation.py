"""Scores of maps against masks, compared with a search over all pixels."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from explain.localisation import energy, over_classes, pointing


@st.composite
def maps_and_masks(draw):
    side = draw(st.integers(2, 9))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    maps = torch.randint(0, draw(st.integers(1, 5)) + 1, (3, side, side), generator=rng).float()
    masks = torch.rand(3, side, side, generator=rng) < draw(st.sampled_from((0.05, 0.4, 0.9)))
    masks[:, 0, side - 1] |= ~masks.any(dim=(1, 2))
    return maps, masks


@given(maps_and_masks(), st.floats(0.01, 1.0))
def test_pointing_is_a_search_for_a_pixel_of_the_mask_near_each_maximum(drawn, tolerance):
    maps, masks = drawn
    for value, map_, mask in zip(pointing(maps, masks, tolerance), maps, masks, strict=True):
        inside = mask.nonzero().double()
        tops = (map_ == map_.max()).nonzero().double()
        reach = tolerance * map_.shape[0]
        near = [bool(((inside - top).norm(dim=1).min() < reach) or mask[tuple(top.long())]) for top in tops]
        assert abs(value.item() - sum(near) / len(near)) < 1e-6


@given(maps_and_masks())
def test_energy_is_between_none_and_all(drawn):
    maps, masks = drawn
    found = energy(maps, masks)
    assert ((found >= 0) & (found <= 1 + 1e-6)).all()
    assert torch.allclose(found + energy(maps, ~masks), torch.ones(3), atol=1e-5)
    assert torch.allclose(energy(masks.float(), masks), torch.ones(3))


def test_a_map_without_differences_scores_as_a_blind_choice():
    masks = torch.zeros(1, 10, 10, dtype=torch.bool)
    masks[0, :2, :5] = True
    found = pointing(torch.zeros(1, 10, 10), masks, 0.01), energy(torch.zeros(1, 10, 10), masks)
    assert all(abs(value.item() - 0.1) < 1e-6 for value in found)


def test_classes_count_alike_whatever_their_number_of_pictures():
    assert over_classes(torch.tensor([1.0] * 9 + [0.0]), torch.tensor([2] * 9 + [7])) == 0.5
