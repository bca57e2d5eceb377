"""Build training and test transforms from the names in INPUT.TRANSFORMS."""

from collections.abc import Callable, Sequence

import torchvision.transforms as T
from torchvision.transforms import AutoAugmentPolicy, InterpolationMode
from yacs.config import CfgNode

from dassl.console import tell
from dassl.utils import check_availability

from .pictures import PREPARATIONS, RESIZE_MODES
from .tensor_ops import Cutout, GaussianNoise, InstanceNormalization

INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}

# Steps before and after the image becomes a tensor, in the order of their application.
_ON_IMAGES = [
    "random_translation",
    "random_crop",
    "random_resized_crop",
    "random_flip",
    "imagenet_policy",
    "cifar10_policy",
    "svhn_policy",
    "randaugment",
    "colorjitter",
    "randomgrayscale",
    "gaussian_blur",
]
_ON_TENSORS = ["cutout", "normalize", "gaussian_noise", "instance_norm"]
# Steps of the test transform, which always crops the centre and never augments.
_IN_TEST = ["normalize", "instance_norm"]

AVAI_CHOICES = [*_ON_IMAGES, "center_crop", *_ON_TENSORS]


def build_transform(cfg: CfgNode, is_train: bool = True, choices: Sequence[str] | None = None) -> T.Compose | None:
    """Return a transform from PIL image to tensor, and print its steps; None with INPUT.NO_TRANSFORM.

    Args:
        cfg: reads INPUT.
        is_train: build the training transform (augmented); else the test transform (smaller edge resized, centre
            cropped; with INPUT.RESIZE_MODE squash, both edges resized). INPUT.PREPARE comes first in both.
        choices: names that replace INPUT.TRANSFORMS.

    Raises:
        UserError: a name, the interpolation or the way to resize is unknown.
    """
    if cfg.INPUT.NO_TRANSFORM:
        tell("Note: no transform is applied!")
        return None
    choices = cfg.INPUT.TRANSFORMS if choices is None else choices
    for choice in choices:
        check_availability(choice, AVAI_CHOICES, what="transform")
    check_availability(cfg.INPUT.INTERPOLATION, list(INTERPOLATION_MODES), what="INPUT.INTERPOLATION")
    check_availability(cfg.INPUT.RESIZE_MODE, RESIZE_MODES, what="INPUT.RESIZE_MODE")
    for name in cfg.INPUT.PREPARE:
        check_availability(name, list(PREPARATIONS), what="preparation in INPUT.PREPARE")

    steps = _steps(cfg.INPUT)
    if is_train:
        crops = {"random_crop", "random_resized_crop"} & set(choices)
        before = ([] if crops else ["resize"]) + [name for name in _ON_IMAGES if name in choices]
        after = [name for name in _ON_TENSORS if name in choices]
    else:
        before = ["resize"] if cfg.INPUT.RESIZE_MODE == "squash" else ["resize_edge", "center_crop"]
        after = [name for name in _IN_TEST if name in choices]
    print(f"Building transform_{'train' if is_train else 'test'}")
    chosen = [steps[name] for name in [*cfg.INPUT.PREPARE, *before, "to_tensor", *after]]
    for words, _ in chosen:
        print(f"+ {words}")
    return T.Compose([step for _, step in chosen])


def evaluation_steps(
    size: tuple[int, int], interpolation: str, resize_mode: str = "shortest", prepare: Sequence[str] = ()
) -> list[Callable]:
    """Return the steps of the test transform that come before the image becomes a tensor.

    Args:
        size: height and width in pixels.
        interpolation: a key of `INTERPOLATION_MODES`.
        resize_mode: one of `RESIZE_MODES`.
        prepare: keys of `PREPARATIONS`.
    """
    mode = INTERPOLATION_MODES[interpolation]
    scaled = [T.Resize(size, mode)] if resize_mode == "squash" else [T.Resize(max(size), mode), T.CenterCrop(size)]
    return [*(PREPARATIONS[name][1](max(size)) for name in prepare), *scaled]


def _steps(cfg: CfgNode) -> dict[str, tuple[str, Callable]]:
    """Return all steps by name: the words for the log, and the transform."""
    size, mode = tuple(cfg.SIZE), INTERPOLATION_MODES[cfg.INTERPOLATION]
    shape = f"{size[0]}x{size[1]}"
    larger = [round(1.125 * side) for side in size]
    jitter = {
        "brightness": cfg.COLORJITTER_B,
        "contrast": cfg.COLORJITTER_C,
        "saturation": cfg.COLORJITTER_S,
        "hue": cfg.COLORJITTER_H,
    }
    translation = T.Compose([T.Resize(larger, mode), T.RandomCrop(size)])
    prepared = {name: (words, step(max(size))) for name, (words, step) in PREPARATIONS.items()}
    return prepared | {
        "resize": (f"resize to {shape}", T.Resize(size, mode)),
        "resize_edge": (f"resize the smaller edge to {max(size)}", T.Resize(max(size), mode)),
        "center_crop": (f"{shape} center crop", T.CenterCrop(size)),
        "random_translation": ("random translation", T.RandomChoice([T.Resize(size, mode), translation])),
        "random_crop": (
            f"random crop (padding = {cfg.CROP_PADDING})",
            T.RandomCrop(size, padding=cfg.CROP_PADDING),
        ),
        "random_resized_crop": (
            f"random resized crop (size={size}, scale={tuple(cfg.RRCROP_SCALE)})",
            T.RandomResizedCrop(size, scale=cfg.RRCROP_SCALE, interpolation=mode),
        ),
        "random_flip": ("random flip", T.RandomHorizontalFlip()),
        "imagenet_policy": ("imagenet policy", T.AutoAugment(AutoAugmentPolicy.IMAGENET)),
        "cifar10_policy": ("cifar10 policy", T.AutoAugment(AutoAugmentPolicy.CIFAR10)),
        "svhn_policy": ("svhn policy", T.AutoAugment(AutoAugmentPolicy.SVHN)),
        "randaugment": (
            f"randaugment (n={cfg.RANDAUGMENT_N}, m={cfg.RANDAUGMENT_M})",
            T.RandAugment(cfg.RANDAUGMENT_N, cfg.RANDAUGMENT_M),
        ),
        "colorjitter": (
            f"color jitter ({', '.join(f'{name}={value}' for name, value in jitter.items())})",
            T.ColorJitter(**jitter),
        ),
        "randomgrayscale": ("random gray scale", T.RandomGrayscale(cfg.RGS_P)),
        "gaussian_blur": (
            f"gaussian blur (kernel={cfg.GB_K})",
            T.RandomApply([T.GaussianBlur(cfg.GB_K)], p=cfg.GB_P),
        ),
        "to_tensor": ("to torch tensor of range [0, 1]", T.ToTensor()),
        "cutout": (
            f"cutout (n_holes={cfg.CUTOUT_N}, length={cfg.CUTOUT_LEN})",
            Cutout(cfg.CUTOUT_N, cfg.CUTOUT_LEN),
        ),
        "normalize": (
            f"normalization (mean={cfg.PIXEL_MEAN}, std={cfg.PIXEL_STD})",
            T.Normalize(cfg.PIXEL_MEAN, cfg.PIXEL_STD),
        ),
        "gaussian_noise": (
            f"gaussian noise (mean={cfg.GN_MEAN}, std={cfg.GN_STD})",
            GaussianNoise(cfg.GN_MEAN, cfg.GN_STD),
        ),
        "instance_norm": ("instance normalization", InstanceNormalization()),
    }
