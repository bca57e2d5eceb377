"""Take the classifier of a finished run elsewhere: its weight and bias, and what the backbone needs of a picture.

    python -m runs.export output/btmri/shots_16/vMFCoOp_BiomedCLIP/nctx4_cscFalse_ctpend_claude/seed1 --out classifier

leaves classifier.safetensors (weight [C, D] and bias [C], float32) and classifier.json, a few kB together, without a
path of this machine. docs/PREDICTION.md has the lines that use them with open_clip, without this repository. Methods
whose logits are not linear in the image feature have no such classifier.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from clip import Backbone
from clip.families import known_models
from dassl.console import printable
from dassl.errors import UserError, command
from dassl.names import shared_name
from dassl.writing import atomic_write, write_json
from runs.predictor import Predictor
from trainers.base.linear_head import LinearHead

FOLDER = "export"  # of a run, by default
NAME = "classifier"  # of both files
FORMULA = (
    "The probabilities of the classes are softmax(W v + b), where v [D] is the image feature of unit length, and the "
    "weight W [C, D] and bias b [C] are in classifier.safetensors. The logit scale is contained in them: do not "
    "multiply by it again."
)
RESIZED = {
    "shortest": "scale the smaller edge to {0}, crop the centre of {0} x {0}",
    "squash": "scale both edges to {0}",
}
PREPARED = {"gray": "take grey values", "pad_square": "pad to a square, in black"}


def head_of_run(predictor: Predictor) -> LinearHead:
    """Return the linear head of a run.

    Raises:
        UserError: its method has none, or its pictures are not prepared as the backbone does.
    """
    head = predictor.trainer.linear_head()
    if head is None:
        raise UserError(
            f"Expected a method whose logits are linear in the image feature, but {predictor.record.names['trainer']} "
            f"of {predictor.folder} is none, so that it has no weight and bias to take elsewhere: use predict.py."
        )
    if repr(predictor.transform) != repr(predictor.backbone.preprocess):
        raise UserError(
            f"Expected pictures that are prepared as {shared_name(predictor.backbone.name)} does, but "
            f"{predictor.folder} has other INPUT.TRANSFORMS: use predict.py, or run it again without these."
        )
    return head


def address_of(backbone: Backbone) -> str:
    """Return where anybody finds a backbone: `hf-hub:org/model@commit`, or the last part of a folder's path."""
    model = known_models().get(backbone.name)
    address = shared_name(model.source if model else backbone.name)
    pinned = address.startswith("hf-hub:") and "@" not in address and backbone.revision
    return f"{address}@{backbone.revision}" if pinned else address


def image_facts(backbone: Backbone) -> dict[str, Any]:
    """Return what a backbone expects of its images, as values and in words."""
    images = backbone.image_input
    steps = [*(PREPARED.get(name, name) for name in images.prepare), RESIZED[images.resize_mode].format(images.size)]
    words = ", ".join(["convert to RGB", *steps])
    return {
        "size": images.size,
        "mean": list(images.mean),
        "std": list(images.std),
        "interpolation": images.interpolation,
        "resize_mode": images.resize_mode,
        "prepare": list(images.prepare),
        "steps": f"{words}, divide by 255, subtract the mean, divide by the std.",
    }


def facts(predictor: Predictor) -> dict[str, Any]:
    """Return the content of classifier.json."""
    backbone, record = predictor.backbone, predictor.record
    keys = ("trainer", "dataset", "shots", "seed", "setting", "subsample", "protocol")
    return {
        "classes": predictor.classnames,
        "formula": FORMULA,
        "logit_scale": float(backbone.logit_scale),
        "image": image_facts(backbone),
        "backbone": {
            "address": address_of(backbone),
            "name": shared_name(backbone.name),
            "fingerprint": backbone.fingerprint(),
            "dimensions": backbone.embed_dim,
            "precision": backbone.precision,
        },
        "run": {key: record.names.get(key) for key in keys} | {"learned": record.hashes.get("learned")},
        "phantom": predictor.phantom,
        "phantom_images": record.phantom_images,
        "phantom_backbone": bool(record.phantom_backbone),
    }


def export(predictor: Predictor, folder: Path) -> list[Path]:
    """Write the classifier of a run; return the paths of the two files.

    Raises:
        UserError: as `head_of_run`; or the disk is full, read-only or forbidden.
    """
    from safetensors import torch as tensors

    head, document = head_of_run(predictor), facts(predictor)
    values = {"weight": head.weight, "bias": head.bias}
    content = tensors.save({name: value.to("cpu", torch.float32).contiguous() for name, value in values.items()})
    with atomic_write(folder / f"{NAME}.safetensors", "wb") as file:
        file.write(content)
    write_json(document, folder / f"{NAME}.json")
    return [folder / f"{NAME}.safetensors", folder / f"{NAME}.json"]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(
        prog="python -m runs.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("run", type=Path, help="folder of the run, such as .../seed1")
    p.add_argument("--out", type=Path, help=f"folder of the two files; {FOLDER}/ of the run by default")
    p.add_argument("--root", default="", help="folder of the data sets, if it has moved")
    p.add_argument("--backbone", default="", help="place of the backbone, if it has moved, such as local-dir:/path")
    return p


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write the classifier, and print where it lies."""
    args = parser().parse_args(argv)
    predictor = Predictor.from_run(args.run, root=args.root, backbone=args.backbone)
    for path in export(predictor, args.out or args.run / FOLDER):
        print(f"{printable(str(path))}, {path.stat().st_size:,} bytes{' (phantom)' if predictor.phantom else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
