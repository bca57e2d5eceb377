"""A list of `Datum` as a PyTorch data set of decoded, transformed images."""

import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torchvision.transforms as T
from torch.utils.data import Dataset
from yacs.config import CfgNode

from dassl.errors import UserError
from dassl.images import NOTES, notes_of, read_image, reading_of

from .datasets import Datum
from .transforms import INTERPOLATION_MODES


@lru_cache(maxsize=8)
def _said(run: str) -> torch.Tensor:
    """By which of its processes a user was told each of the `NOTES` in a run; 0 is by none."""
    return torch.zeros(len(NOTES), dtype=torch.int64).share_memory_()


class DatasetWrapper(Dataset):
    """Yields {"img", "label", "domain", "impath", "index"} for each image.

    Args:
        cfg: reads INPUT and DATALOADER.
        data_source: the images.
        transform: PIL image -> tensor; None yields PIL images; a sequence yields "img", "img2", ...
        is_train: allows DATALOADER.K_TRANSFORMS > 1, which makes each "img" a list.

    Raises:
        UserError: K_TRANSFORMS > 1 without a transform.
    """

    def __init__(
        self,
        cfg: CfgNode,
        data_source: Sequence[Datum],
        transform: Callable | Sequence[Callable] | None = None,
        is_train: bool = False,
    ) -> None:
        self.cfg = cfg
        self.data_source = data_source
        self.transform = transform
        self.is_train = is_train
        self.reading = reading_of(cfg)
        self.said = _said(cfg.OUTPUT_DIR)
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm > 1 and transform is None:
            raise UserError(f"DATALOADER.K_TRANSFORMS is {self.k_tfm}, but there is no transform to apply.")
        steps = [T.Resize(cfg.INPUT.SIZE, INTERPOLATION_MODES[cfg.INPUT.INTERPOLATION]), T.ToTensor()]
        if "normalize" in cfg.INPUT.TRANSFORMS:
            steps.append(T.Normalize(cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD))
        self.to_tensor = T.Compose(steps)  # no augmentation: for "img0"

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        item = self.data_source[idx]
        image = read_image(item.impath, self.reading)
        self._say(notes_of(image))
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": idx}
        transforms = self.transform if isinstance(self.transform, (list, tuple)) else [self.transform]
        for number, transform in enumerate(transforms, start=1):
            output["img" if number == 1 else f"img{number}"] = self._transform_image(transform, image)
        if self.return_img0:
            output["img0"] = self.to_tensor(image)
        return output

    def _say(self, notes: Sequence[str]) -> None:
        """Tell the user once what is assumed about images."""
        for number, name in enumerate(NOTES):
            if name in notes and not self.said[number]:
                self.said[number] = os.getpid()
                time.sleep(0.1)  # several that meet one at the same time: the last of them tells it
                if self.said[number] == os.getpid():
                    print(f"{NOTES[name]}.")

    def _transform_image(self, transform: Callable | None, image: Any) -> Any:
        if transform is None:
            return image
        views = [transform(image) for _ in range(self.k_tfm)]
        return views[0] if self.k_tfm == 1 else views
