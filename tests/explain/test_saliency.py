"""Saliency on towers of which it is known where they look, and against the formulas written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import interpolate, normalize

from clip import build_backbone
from clip.attention import watched
from dassl.errors import UserError
from datasets.phantoms.registry import sample
from explain.directions import class_directions
from explain.grad_eclip import grad_eclip
from explain.gscorecam import gscorecam
from explain.legrad import legrad
from explain.places import stretch, to_grid, to_pixels
from explain.saliency import KINDS, saliency
from tests.explain.towers import GROUND, SIDE, AttentionBackbone, LinearBackbone, with_a_mark

places = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))


def direction_of(backbone, place) -> torch.Tensor:
    """What the mark adds to the feature of a picture [1, 16]: the direction of a class that is the mark."""
    plain = GROUND[:, None, None].expand(1, 3, 8, 8)
    with torch.no_grad():
        return 20 * normalize(backbone.pool_image(with_a_mark(*place)) - backbone.pool_image(plain), dim=-1)


@pytest.mark.parametrize(("tower", "kind"), [(t, k) for t in (LinearBackbone, AttentionBackbone) for k in KINDS])
@settings(max_examples=16, deadline=None)
@given(place=places)
def test_the_maximum_lies_in_the_one_patch_that_is_the_answer(tower, kind, place):
    backbone = tower()
    if tower is LinearBackbone and kind == "legrad":
        with pytest.raises(UserError, match="attention"):
            saliency(backbone, with_a_mark(*place), torch.ones(1, 16), kind)
        return
    picture = with_a_mark(*place)
    (found,) = saliency(backbone, picture, direction_of(backbone, place), kind)
    row, column = divmod(int(found.argmax()), found.shape[1])
    assert (row // 2, column // 2) == place
    assert found.max() == 1 and found.min() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_maps_differ_between_prompts(kind):
    backbone = build_backbone("PhantomCLIP")
    drawn = [sample("btmri", "glioma tumor", seed)[0] for seed in (0, 1)]
    pixels = torch.stack([backbone.preprocess(Image.fromarray(picture)) for picture in drawn])
    texts = backbone.logit_scale * backbone.encode_text(["a glioma tumor", "a breast ultrasound with shadowing"])
    one, other = saliency(backbone, pixels, texts[:, None].expand(-1, 2, -1), kind)
    assert ((one - other).abs().mean(dim=(1, 2)) > 0.02).all()
    assert torch.allclose(one, saliency(backbone, pixels, texts[:1].expand(2, -1), kind), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_towers_compute_in_float32(kind):
    exact, rough = build_backbone("PhantomCLIP"), build_backbone("PhantomCLIP", precision="bf16")
    pixels = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    directions = exact.logit_scale * exact.encode_text(["a glioma tumor", "a normal scan"])
    expected = saliency(exact, pixels, directions, kind)
    with torch.autocast("cpu", torch.bfloat16):
        within = saliency(exact, pixels, directions, kind)
    for found in (within, saliency(rough, pixels, directions, kind)):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_each_place_of_a_linear_tower_has_exactly_its_share():
    """score = d . z / |z| with z the sum of z_i: the share of place i is the derivative along z_i."""
    backbone = LinearBackbone()
    picture = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    directions = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))
    shares = backbone.project_image(backbone.patches(picture)) / SIDE**2  # z_i [B, 16, D]
    z = shares.sum(dim=1)
    unit = normalize(z, dim=-1)
    across = directions - (directions * unit).sum(dim=-1, keepdim=True) * unit
    expected = torch.einsum("mbd,bnd->mbn", across / z.norm(dim=-1, keepdim=True), shares).unflatten(-1, (SIDE, SIDE))
    assert torch.allclose(grad_eclip(backbone, picture, directions), expected.relu(), atol=1e-6)
    assert expected.sum(dim=(-2, -1)).abs().max() < 1e-5  # to make the picture brighter changes no cosine
    assert expected.min() < -1e-3 < 1e-3 < expected.max()


def test_grad_eclip_is_its_formula():
    backbone, picture = AttentionBackbone(), torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    direction = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(1))
    attention = backbone.block.attn
    tokens = torch.cat([backbone.token, backbone.patches(picture)], dim=1)[0]
    (wq, wk, wv), (bq, bk, bv) = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    q, k, v = tokens[0] @ wq.T + bq, tokens @ wk.T + bk, tokens @ wv.T + bv
    weights = attention(*[tokens[None]] * 3, average_attn_weights=False)[1][0, :, 0]  # [2, 17], PyTorch's own
    mixed = torch.cat([w @ part for w, part in zip(weights, v.chunk(2, dim=1), strict=True)]).detach().requires_grad_()
    feature = backbone.project_image(tokens[0] + attention.out_proj(mixed))
    ((direction[0, 0] * normalize(feature, dim=0)).sum()).backward()
    cosines = torch.stack([normalize(q, dim=0) @ normalize(each, dim=0) for each in k[1:]])
    loose = (cosines - cosines.min()) / (cosines.max() - cosines.min())
    expected = torch.stack([(mixed.grad * each).sum() * share for each, share in zip(v[1:], loose, strict=True)])
    assert torch.allclose(grad_eclip(backbone, picture, direction)[0, 0].flatten(), expected.relu(), atol=1e-6)


def test_legrad_is_the_derivative_of_the_score_by_an_attention_weight():
    backbone, picture = AttentionBackbone(), torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    direction = torch.randn(1, 1, 16, generator=torch.Generator().manual_seed(1))
    attention = backbone.block.attn
    tokens = torch.cat([backbone.token, backbone.patches(picture)], dim=1)
    weights = attention(tokens, tokens, tokens, average_attn_weights=False)[1][0].double()
    with watched(attention, "weights") as seen:
        backbone.block(tokens)
    values, out = seen.heads.values[0].double(), attention.out_proj
    inside, outside = tokens[0].double(), (out.weight.double(), out.bias.double())
    last = backbone.project_image.weight.double()

    def score(w):
        mixed = (w @ values).transpose(0, 1).flatten(1)
        return direction[0, 0].double() @ normalize(
            (inside + mixed @ outside[0].T + outside[1]).mean(0) @ last.T, dim=0
        )

    steps = torch.zeros_like(weights)
    for at in torch.cartesian_prod(*map(torch.arange, weights.shape)).tolist():
        moved = [weights.clone(), weights.clone()]
        moved[0][tuple(at)] += 1e-5
        moved[1][tuple(at)] -= 1e-5
        steps[tuple(at)] = (score(moved[0]) - score(moved[1])) / 2e-5
    expected = steps.relu().mean(dim=(0, 1))[1:].view(SIDE, SIDE).float()
    assert expected.max() > 1e-4
    assert torch.allclose(legrad(backbone, picture, direction)[0, 0], expected, atol=1e-6)


def test_gscorecam_is_its_formula():
    backbone = build_backbone("PhantomCLIP")
    pixels = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    direction = backbone.logit_scale * backbone.encode_text(["a glioma tumor"])
    stages = []
    handle = backbone.model.visual.layer3.register_forward_hook(lambda m, i, o: stages.append(o.requires_grad_()))
    with torch.enable_grad():
        (direction * normalize(backbone.pool_image(pixels), dim=-1)).sum().backward()
    handle.remove()
    maps, slopes = stages[0].detach()[0], stages[0].grad[0].mean(dim=(1, 2))
    chosen = sorted(range(len(maps)), key=lambda i: -slopes[i])[: round(0.1 * len(maps))]
    scores = []
    for channel in chosen:
        large = interpolate(maps[channel][None, None], (96, 96), mode="bilinear", align_corners=False)
        low, high = large.min(), large.max()
        mask = (large - low) / (high - low) if high > low else 0 * large
        scores.append(direction[0] @ normalize(backbone.pool_image(pixels * mask), dim=-1)[0])
    expected = sum(w * maps[channel] for w, channel in zip(torch.stack(scores).softmax(0), chosen, strict=True)).relu()
    assert torch.allclose(gscorecam(backbone, pixels, direction[None])[0, 0], expected, rtol=1e-3, atol=1e-4)


@given(st.integers(0, 5), st.integers(1, 6))
def test_a_grid_has_the_places_in_their_order(prefix, side):
    tokens = torch.arange(prefix + side * side).float()
    grid = to_grid(tokens, prefix)
    assert grid.shape == (side, side) and grid.flatten().tolist() == tokens[prefix:].tolist()


def test_tokens_that_are_no_square_are_refused():
    with pytest.raises(UserError, match="5 tokens"):
        to_grid(torch.zeros(6), prefix=1)


def test_a_map_without_differences_is_zero():
    assert to_pixels(torch.full((2, 3, 3), 0.7), 6).eq(0).all()
    assert stretch(torch.tensor([[1.0, 3.0], [2.0, 1.0]])).tolist() == [[0, 1], [0.5, 0]]


def test_an_unknown_kind_is_refused():
    with pytest.raises(UserError, match="legrad, occlusion, but got 'gradcam'"):
        saliency(LinearBackbone(), with_a_mark(0, 0), torch.ones(1, 16), "gradcam")


def test_the_direction_of_a_cache_belongs_to_each_picture():
    keys = normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    values = torch.eye(3).repeat(2, 1)

    def cache(features):
        return torch.exp(-5 * (1 - features @ keys.T)) @ values

    features = normalize(torch.randn(4, 16, generator=torch.Generator().manual_seed(1)), dim=1)
    classes = torch.tensor([0, 1, 2, 0])
    affinity = torch.exp(-5 * (1 - features @ keys.T))
    expected = torch.stack([5 * (a * values[:, c]) @ keys for a, c in zip(affinity, classes, strict=True)])
    assert torch.allclose(class_directions(cache, features, classes, contrast=False), expected, atol=1e-6)
    means = torch.stack([5 * (a * values.mean(dim=1)) @ keys for a in affinity])
    assert torch.allclose(class_directions(cache, features, classes), expected - means, atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "directions"), [((3, 8, 8), (1, 16)), ((1, 3, 8, 8), (2, 16)), ((2, 3, 8, 8), (16,))]
)
def test_each_picture_needs_a_direction(pixels, directions):
    with pytest.raises(UserError, match="a direction for each"):
        saliency(LinearBackbone(), torch.zeros(pixels), torch.ones(directions))
