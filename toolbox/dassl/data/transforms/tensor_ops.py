"""Transforms of image tensors [C, H, W] that torchvision does not have."""

import torch
from torch import Tensor


class Cutout:
    """Set `n_holes` squares of side `length`, with random centres, to zero (DeVries and Taylor 2017)."""

    def __init__(self, n_holes: int = 1, length: int = 16) -> None:
        self.n_holes = n_holes
        self.length = length

    def __call__(self, img: Tensor) -> Tensor:
        img = img.clone()
        height, width = img.shape[1:]
        for _ in range(self.n_holes):
            y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
            top, left = y - self.length // 2, x - self.length // 2
            img[:, max(top, 0) : max(top + self.length, 0), max(left, 0) : max(left + self.length, 0)] = 0
        return img


class GaussianNoise:
    """Add Gaussian noise of the given mean and standard deviation to an image with probability `p`."""

    def __init__(self, mean: float = 0.0, std: float = 0.15, p: float = 0.5) -> None:
        self.mean = mean
        self.std = std
        self.p = p

    def __call__(self, img: Tensor) -> Tensor:
        return img + torch.randn_like(img) * self.std + self.mean if torch.rand(()) < self.p else img


class InstanceNormalization:
    """Scale each channel of an image to zero mean and unit variance."""

    def __init__(self, eps: float = 1e-8) -> None:
        self.eps = eps

    def __call__(self, img: Tensor) -> Tensor:
        mean = img.mean(dim=(1, 2), keepdim=True)
        return (img - mean) / (img.std(dim=(1, 2), keepdim=True) + self.eps)
