"""Make a PyTorch data set of decoded, transformed images from a list of `Datum`."""

import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torchvision.transforms as T
from torch.utils.data import Dataset
from yacs.config import CfgNode

from dassl.console import tell
from dassl.errors import UserError
from dassl.images import NOTES, notes_of, read_image, reading_of

from .datasets import Datum
from .transforms import evaluation_steps


@lru_cache(maxsize=8)
def _told_notes(run: str) -> torch.Tensor:
    """Return, for each of the `NOTES`, the number of the process that has told it in a run; 0 for none."""
    return torch.zeros(len(NOTES), dtype=torch.int64).share_memory_()


class DatasetWrapper(Dataset):
    """A data set that yields {"img", "label", "domain", "impath", "index"} for each image.

    Args:
        cfg: reads INPUT and DATALOADER.
        data_source: the images.
        transform: from PIL image to tensor; None yields PIL images; a sequence yields "img", "img2", ...
        is_train: allows DATALOADER.K_TRANSFORMS > 1, which makes each "img" a list.

    Raises:
        UserError: K_TRANSFORMS is above 1, and there is no transform.
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
        self.told = _told_notes(cfg.OUTPUT_DIR)
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm > 1 and transform is None:
            raise UserError(
                f"Expected a transform for DATALOADER.K_TRANSFORMS {self.k_tfm}, but there is none: set it to 1, or "
                "INPUT.NO_TRANSFORM to False."
            )
        steps = evaluation_steps(tuple(cfg.INPUT.SIZE), cfg.INPUT.INTERPOLATION, "squash", cfg.INPUT.PREPARE)
        steps.append(T.ToTensor())
        if "normalize" in cfg.INPUT.TRANSFORMS:
            steps.append(T.Normalize(cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD))
        self.to_tensor = T.Compose(steps)  # no augmentation: for "img0"

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        item = self.data_source[idx]
        image = read_image(item.impath, self.reading)
        self._tell(notes_of(image))
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": idx}
        transforms = self.transform if isinstance(self.transform, (list, tuple)) else [self.transform]
        for number, transform in enumerate(transforms, start=1):
            output["img" if number == 1 else f"img{number}"] = self._transform_image(transform, image)
        if self.return_img0:
            output["img0"] = self.to_tensor(image)
        return output

    def _tell(self, notes: Sequence[str]) -> None:
        """Print each note about images once in a run, whichever worker process meets it first."""
        for number, name in enumerate(NOTES):
            if name in notes and not self.told[number]:
                self.told[number] = os.getpid()
                time.sleep(0.1)  # of several processes that meet it at the same time, the last prints it
                if self.told[number] == os.getpid():
                    tell(f"{NOTES[name]}.")

    def _transform_image(self, transform: Callable | None, image: Any) -> Any:
        if transform is None:
            return image
        views = [transform(image) for _ in range(self.k_tfm)]
        return views[0] if self.k_tfm == 1 else views
