"""Saliency on a small model of every family, and on towers that open_clip builds from timm's."""

import pytest
import timm
import torch

from clip import build_backbone
from clip.attention import can_be_watched, watched
from clip.families.open_clip_models.layers import layers_of
from dassl.errors import UserError
from explain.saliency import KINDS, saliency
from explain.spatial import gradients, maps_of, spatial_leaf
from tests.families.conftest import NAMES
from tests.pretended_gpu import pretended_gpu
from tests.tiny_backbone import TinyBackbone

every_model = pytest.mark.parametrize("name", NAMES)


def pictures(backbone) -> torch.Tensor:
    return torch.randn(2, 3, *[backbone.image_size] * 2, generator=torch.Generator().manual_seed(0))


def directions(backbone) -> torch.Tensor:
    found = torch.randn(2, 2, backbone.embed_dim, generator=torch.Generator().manual_seed(1))
    return backbone.logit_scale * torch.nn.functional.normalize(found, dim=-1)


def check_kinds(backbone, without=()) -> None:
    pixels, asked = pictures(backbone), directions(backbone)
    for kind in KINDS:
        if kind == "occlusion" and not backbone.name.endswith("BiomedCLIP"):
            continue  # it asks the tower for features alone
        if kind in without:
            with pytest.raises(UserError, match=backbone.name):
                saliency(backbone, pixels, asked, kind)
            continue
        maps = saliency(backbone, pixels, asked, kind)
        assert maps.shape == (2, 2, backbone.image_size, backbone.image_size)
        assert torch.isfinite(maps).all() and maps.min() == 0
        assert (maps.amax(dim=(-2, -1)) == 1).any(), kind  # a picture in which nothing speaks for the class has zeros
        assert (maps[0] - maps[1]).abs().mean() > 1e-3, kind


def check_attention(backbone) -> None:
    """Attention in the open gives the same features; gradients at the spatial layer are not zero."""
    layers, pixels = backbone.image_layers(), pictures(backbone)
    with torch.no_grad():
        expected = backbone.pool_image(pixels)
    for attention in {id(a): a for a in (layers.readout, *(a for _, a in layers.blocks)) if a is not None}.values():
        assert can_be_watched(attention)
        with torch.no_grad(), watched(attention, "mixed"):
            assert torch.allclose(backbone.pool_image(pixels), expected, atol=1e-5 * float(expected.abs().max()))
    with torch.enable_grad(), spatial_leaf(layers) as seen:
        found = gradients(backbone.pool_image(pixels), directions(backbone), seen.leaf)
    maps = maps_of(found, layers)
    assert maps.ndim == 5 and maps.shape[-1] == maps.shape[-2] > 1
    assert (maps.abs().amax(dim=2) > 0).all()


@every_model
def test_every_family_can_be_asked_where_it_looks(name, built):
    backbone = built(name)
    check_attention(backbone)
    check_kinds(backbone, without=("legrad",) if name.startswith("MedCLIP") else ())


def test_a_layer_whose_patches_reach_no_feature_has_no_gradient(built):
    """Of the last block of a ViT with class token, norm2 of the patches leads nowhere: a map from there is the same
    for all prompts."""
    backbone = built("BiomedCLIP")
    layers = backbone.image_layers()
    block = backbone.model.visual.trunk.blocks[-1]
    assert layers.spatial is block.norm1
    with torch.enable_grad(), spatial_leaf(layers._replace(spatial=block.norm2)) as seen:
        found = gradients(backbone.pool_image(pictures(backbone)), directions(backbone), seen.leaf)
    assert maps_of(found, layers).eq(0).all() and found[:, :, 0].abs().max() > 0


@pytest.mark.parametrize(("size", "stage"), [(96, 3), (160, 3), (192, 4), (224, 4), (64, 2)])
def test_a_resnet_is_asked_at_its_last_stage_with_places_enough(size, stage):
    from open_clip.modified_resnet import ModifiedResNet

    tower = ModifiedResNet((1, 1, 1, 1), 16, 4, size, 8)
    layers = layers_of(tower)
    assert layers.spatial is getattr(tower, f"layer{stage}")
    assert (layers.readout is tower.attnpool) is (stage == 4)


SMALL_VIT = {"img_size": 64, "embed_dim": 32, "depth": 2, "num_heads": 2}
TIMM = {  # name of a model, its pooling -> how it is made small, and the kinds that it has not
    ("vit_tiny_patch16_224", "token"): (SMALL_VIT, ()),
    ("vit_tiny_patch16_224", "avg"): (SMALL_VIT, ()),
    ("vit_base_patch16_siglip_224", "map"): (SMALL_VIT, ()),
    ("swin_tiny_patch4_window7_224", "avg"): (
        {"img_size": 64, "embed_dim": 16, "depths": (1, 1), "num_heads": (2, 2), "window_size": 4},
        ("legrad",),
    ),
    ("convnext_atto", "avg"): ({"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, ("legrad",)),
    ("resnet18", "avg"): ({}, ("legrad",)),
    ("beit_base_patch16_224", "avg"): (SMALL_VIT, ("legrad",)),
}


class TowerBackbone(TinyBackbone):
    """A tower of open_clip or timm with large random weights: of the initial ones all pictures look alike."""

    image_size = 64

    def __init__(self, visual: torch.nn.Module):
        super().__init__("of random weights")
        self.visual = visual
        torch.manual_seed(0)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        self.freeze()

    def pool_image(self, images):
        return self.visual(images)

    def image_layers(self):
        return layers_of(self.visual)


class TimmTower(torch.nn.Module):
    """A model of timm and a projection, as open_clip puts them together."""

    def __init__(self, model: str, pool: str, **small):
        super().__init__()
        self.trunk = timm.create_model(model, num_classes=0, global_pool=pool, **small)
        self.head = torch.nn.Linear(self.trunk.num_features, 16, bias=False)

    def forward(self, images):
        return self.head(self.trunk(images))


@pytest.mark.parametrize(("model", "pool"), TIMM)
def test_towers_of_timm(model, pool):
    small, without = TIMM[model, pool]
    backbone = TowerBackbone(TimmTower(model, pool, **small))
    check_attention(backbone)
    check_kinds(backbone, without)


def vit_of_open_clip(**kind) -> TowerBackbone:
    from open_clip.transformer import VisionTransformer

    size = {"image_size": 64, "patch_size": 16, "width": 32, "layers": 2, "heads": 2, "mlp_ratio": 2}
    return TowerBackbone(VisionTransformer(**size, output_dim=16, **kind))


@pytest.mark.parametrize(
    ("kind", "without"),
    [
        ({}, ()),
        ({"pool_type": "avg"}, ()),
        ({"qk_norm": True}, ("legrad",)),  # attention of open_clip's own, which is not watched
        ({"attentional_pool": True, "attn_pooler_queries": 4, "attn_pooler_heads": 2}, ("legrad",)),
    ],
)
def test_vits_of_open_clip(kind, without):
    backbone = vit_of_open_clip(**kind)
    check_attention(backbone)
    check_kinds(backbone, without)
    assert (backbone.image_layers().readout is None) is bool(kind)


def test_an_error_leaves_no_hook_and_no_gradient_behind(monkeypatch):
    backbone = vit_of_open_clip()
    pixels, asked = pictures(backbone), directions(backbone)
    last = backbone.visual.transformer.resblocks[-1].mlp

    def stop(*_):
        assert any(module._forward_hooks or module._forward_pre_hooks for module in backbone.modules())
        raise MemoryError

    for kind in ("grad_eclip", "gscorecam", "legrad"):
        saliency(backbone, pixels, asked, kind)
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(last, "forward", stop)
            saliency(backbone, pixels, asked, kind)
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in backbone.modules())
    assert not any(each.requires_grad or each.grad is not None for each in backbone.parameters())


def test_a_tower_of_which_nothing_is_known_is_refused():
    with pytest.raises(UserError, match="ViT or a ResNet, but got Linear"):
        layers_of(torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="do without saliency"):
        saliency(TinyBackbone(), torch.zeros(1, 3, 8, 8), torch.ones(1, 16))


@pytest.mark.parametrize("name", ["BiomedCLIP", "MedCLIP", "PMC-CLIP"])
def test_maps_are_the_same_on_a_gpu(name, named, built):
    here = built(name)
    kinds = [kind for kind in KINDS if kind != "legrad" or name != "MedCLIP"]
    with pretended_gpu() as gpu:
        there = build_backbone(named(name), "cuda")
        found = [saliency(there, pictures(there), directions(there), kind) for kind in kinds]
    assert gpu.kernels and not any(maps.is_cuda for maps in found)
    for kind, maps in zip(kinds, found, strict=True):
        assert torch.allclose(maps, saliency(here, pictures(here), directions(here), kind), atol=1e-3), kind
