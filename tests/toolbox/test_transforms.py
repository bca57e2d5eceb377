"""Transforms."""

import numpy as np
import pytest
import torch
from PIL import Image

from dassl.config import get_cfg_default
from dassl.data.transforms import AVAI_CHOICES, INTERPOLATION_MODES, build_transform
from dassl.data.transforms.tensor_ops import Cutout, GaussianNoise, InstanceNormalization


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 40, 3), dtype="uint8"))


def make_cfg(*options):
    cfg = get_cfg_default()
    cfg.merge_from_list(["INPUT.SIZE", (32, 32), "INPUT.GB_K", 5, *options])
    return cfg


@pytest.mark.parametrize("choice", AVAI_CHOICES)
@pytest.mark.parametrize("is_train", [True, False])
def test_every_choice_gives_a_tensor_of_the_right_size(image, choice, is_train):
    image = image.resize((32, 32)) if choice == "random_crop" else image
    output = build_transform(make_cfg(), is_train=is_train, choices=[choice])(image)
    assert output.shape == (3, 32, 32)
    assert output.dtype == torch.float32
    assert output.isfinite().all()


def test_training_steps_and_their_lines(capsys):
    cfg = make_cfg("INPUT.TRANSFORMS", ("normalize", "random_resized_crop", "random_flip"))
    transform = build_transform(cfg)
    assert [type(step).__name__ for step in transform.transforms] == [
        "RandomResizedCrop",
        "RandomHorizontalFlip",
        "ToTensor",
        "Normalize",
    ]
    assert capsys.readouterr().out.splitlines() == [
        "Building transform_train",
        "+ random resized crop (size=(32, 32), scale=(0.08, 1.0))",
        "+ random flip",
        "+ to torch tensor of range [0, 1]",
        "+ normalization (mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])",
    ]


def test_without_a_crop_training_images_are_resized(capsys):
    transform = build_transform(make_cfg(), choices=[])
    assert [type(step).__name__ for step in transform.transforms] == ["Resize", "ToTensor"]
    assert "+ resize to 32x32" in capsys.readouterr().out


def test_test_images_are_resized_cropped_and_not_augmented(image, capsys):
    cfg = make_cfg("INPUT.TRANSFORMS", ("random_resized_crop", "random_flip", "cutout", "normalize"))
    transform = build_transform(cfg, is_train=False)
    assert "+ resize the smaller edge to 32\n+ 32x32 center crop\n" in capsys.readouterr().out
    output = transform(image)
    assert torch.equal(output, transform(image))
    small = np.asarray(image.resize((32, 48), Image.Resampling.BILINEAR).crop((0, 8, 32, 40))) / 255
    expected = (small - cfg.INPUT.PIXEL_MEAN) / cfg.INPUT.PIXEL_STD
    assert output.permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-5)


def test_interpolation_is_the_configured_one(image):
    outputs = {
        mode: build_transform(make_cfg("INPUT.INTERPOLATION", mode), is_train=False)(image)
        for mode in INTERPOLATION_MODES
    }
    expected = image.resize((32, 48), Image.Resampling.BICUBIC).crop((0, 8, 32, 40))
    assert (outputs["bicubic"].permute(1, 2, 0) * 255).round().byte().numpy().tolist() == np.asarray(expected).tolist()
    assert not torch.equal(outputs["bicubic"], outputs["bilinear"])
    assert not torch.equal(outputs["nearest"], outputs["bilinear"])


def test_training_follows_the_seed(image):
    transform = build_transform(make_cfg(), choices=["random_resized_crop", "random_flip", "colorjitter"])
    torch.manual_seed(5)
    first = transform(image)
    assert not torch.equal(first, transform(image))
    torch.manual_seed(5)
    assert torch.equal(first, transform(image))


def test_wrong_names_list_the_choices():
    with pytest.raises(ValueError, match=r"got 'random_flipp': did you mean 'random_flip'\?"):
        build_transform(make_cfg(), choices=["random_flipp"])
    with pytest.raises(ValueError, match=r"INPUT\.INTERPOLATION to be .*bilinear, bicubic, nearest, but got 'lanczos'"):
        build_transform(make_cfg("INPUT.INTERPOLATION", "lanczos"))


def test_no_transform(capsys):
    assert build_transform(make_cfg("INPUT.NO_TRANSFORM", True)) is None
    assert capsys.readouterr().out == "Note: no transform is applied!\n"


def test_cutout_zeroes_one_square():
    torch.manual_seed(0)
    ones = torch.ones(2, 20, 20)
    for _ in range(50):
        output = Cutout(n_holes=1, length=6)(ones)
        rows, columns = (output[0] == 0).nonzero(as_tuple=True)
        height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert len(rows) == height * width
        assert 3 <= height <= 6
        assert 3 <= width <= 6
        assert torch.equal(output[0], output[1])
    assert (Cutout(3, 6)(ones) == 0).sum() > 0
    assert ones.all()


def test_noise_has_its_moments_and_probability():
    torch.manual_seed(0)
    zeros = torch.zeros(3, 100, 100)
    noise = GaussianNoise(mean=1.0, std=0.5, p=1.0)(zeros)
    assert noise.mean() == pytest.approx(1.0, abs=0.02)
    assert noise.std() == pytest.approx(0.5, abs=0.02)
    assert GaussianNoise(p=0.0)(zeros) is zeros


def test_instance_normalization():
    output = InstanceNormalization()(torch.rand(3, 9, 7) * torch.tensor([1.0, 5.0, 50.0]).view(3, 1, 1) + 4)
    assert output.mean(dim=(1, 2)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert output.std(dim=(1, 2)).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    assert torch.equal(InstanceNormalization()(torch.ones(1, 4, 4)), torch.zeros(1, 4, 4))
