"""Pictures with masks of their lesions, as an image tower sees them."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dassl.errors import UserError
from dassl.images import read_image
from datasets.masks import mask_of, mask_path, mask_transform, read_mask
from runs.predictor import Predictor


class Lesions(NamedTuple):
    """N pictures in which a lesion can be seen.

    Attributes:
        paths: of their files.
        pixels: [N, 3, S, S].
        masks: [N, S, S], bool.
        features: [N, D], unit norm.
    """

    paths: list[str]
    pixels: Tensor
    masks: Tensor
    features: Tensor


def first_with_lesion(paths: Sequence[str], labels: Sequence[int], per_class: int) -> list[int]:
    """Return the indices of the first pictures of each class that have a mask beside them, at most `per_class`.

    Classes of which half of the pictures or fewer have one are left out: they are about something else, and a lesion is
    there by chance, as a cyst in a kidney that counts as normal.
    """
    masked: dict[int, list[int]] = {label: [] for label in labels}
    for index, (path, label) in enumerate(zip(paths, labels, strict=True)):
        if mask_of(path):
            masked[label].append(index)
    counts = Counter(labels)
    return sorted(i for label, found in masked.items() if 2 * len(found) > counts[label] for i in found[:per_class])


def read_lesions(predictor: Predictor, paths: Sequence[str]) -> Lesions:
    """Return pictures with the masks that lie beside them, as the predictor's tower sees both.

    A picture whose lesion is cropped away has an empty mask.

    Raises:
        UserError: a picture or a mask cannot be read, or there is no mask.
    """
    backbone, reading = predictor.backbone, predictor.trainer.store.reading
    masks, pixels = [], []
    fit = mask_transform(backbone.image_size, backbone.resize_mode, backbone.prepare)
    for path in paths:
        if not (mask := mask_of(path)):
            raise UserError(f"Expected a mask beside {path}, but there is none: draw it as {mask_path(path)}.")
        picture = read_image(path, reading)
        masks.append(torch.from_numpy(np.ascontiguousarray(fit(read_mask(mask, picture.size)))))
        pixels.append(predictor.transform(picture))
    found = predictor.features(paths)
    if found.errors:
        raise UserError(next(iter(found.errors.values())))
    return Lesions(list(paths), torch.stack(pixels), torch.stack(masks), found.features)
