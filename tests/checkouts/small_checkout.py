"""A small checkout like BiomedCoOp's: its top-level names are those of ours, and its code expects a GPU.

Scripts name the settings of Tiny_..., the layout of the yaml those of Silent_..., and nothing those of Stray_...
"""

from pathlib import Path

FILES = {
    "train.py": """
import datasets.oxford_pets
import trainers.Tiny.tiny
from yacs.config import CfgNode as CN


def extend_cfg(cfg):
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    cfg.TRAINER.TINY = CN({"N_CTX": 4, "SIDE": 2})
    cfg.TRAINER.COOP = CN({"N_CTX": 16, "THEIRS": True})


if __name__ == "__main__":
    raise SystemExit("not to be run")
""",
    "utils.py": "SIDE = 4\n",
    "datasets/__init__.py": "raise RuntimeError('their data sets are not to be imported')\n",
    "clip/__init__.py": "OWNER = 'theirs'\n",
    "clip/checkpoints/offset.txt": "0.5",
    "open_clip/__init__.py": "",
    "open_clip/src/__init__.py": "",
    "open_clip/src/open_clip/__init__.py": """
import torch
from huggingface_hub import hf_hub_download


def logit_scale():
    path = hf_hub_download("microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", "open_clip_pytorch_model.bin")
    return torch.load(path, weights_only=True)["logit_scale"].float().exp()
""",
    "trainers/__init__.py": "",
    "trainers/late.py": "from clip import OWNER\n",
    "trainers/Tiny/tiny.py": """
from pathlib import Path

import torch
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from open_clip.src.open_clip import logit_scale
from torch import nn
from torch.nn import functional as F
from utils import SIDE


class Pixels(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(3 * SIDE * SIDE, classes)

    def forward(self, image):
        return self.head(F.adaptive_avg_pool2d(image.cuda(), SIDE).flatten(1)) + torch.zeros(1, device="cuda")


@TRAINER_REGISTRY.register()
class Tiny_PhantomCLIP(TrainerX):
    def build_model(self):
        print(f"logit scale {logit_scale():.3f}, offset {Path('clip/checkpoints/offset.txt').read_text()}")
        self.model = Pixels(self.num_classes).cuda()
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("pixels", self.model, self.optim, self.sched)

    def parse_batch_train(self, batch):
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch):
        from trainers.late import OWNER

        image, label = self.parse_batch_train(batch)
        output = self.model(image)
        loss = F.cross_entropy(output, label)
        self.model_backward_and_update(loss)
        if self.batch_idx + 1 == self.num_batches:
            print(f"clip is {OWNER}")
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}


@TRAINER_REGISTRY.register()
class Silent_PhantomCLIP(Tiny_PhantomCLIP):
    def test(self, split=None):
        return 100.0


@TRAINER_REGISTRY.register()
class Stray_PhantomCLIP(Tiny_PhantomCLIP):
    pass


@TRAINER_REGISTRY.register()
class CoOp(TrainerX):
    pass
""",
    "scripts/tiny/few_shot.sh": """#!/bin/bash
DATA=$1
DATASET=$2
SHOTS=$3 # images of a class
MODEL=$4
METHOD=Tiny
TRAINER=Tiny_${MODEL}
CFG=vit
SIDE=3

for SEED in 1 2 3; do
    DIR=output/${DATASET}/${TRAINER}/seed${SEED}
    if [ -d "$DIR" ]; then
        echo "There is ${DIR} (nothing to do)"
    else
        python train.py --root ${DATA} --seed ${SEED} --trainer ${TRAINER} \\
            --dataset-config-file configs/datasets/${DATASET}.yaml \\
            --config-file configs/trainers/${METHOD}/${CFG}.yaml \\
            --output-dir ${DIR} \\
            TRAINER.TINY.SIDE ${SIDE} \\
            DATASET.NUM_SHOTS ${SHOTS}
    fi
done
""",
    "scripts/tiny/base2new.sh": """
DATASET=$1
python train.py --trainer Tiny_$2 --dataset-config-file configs/datasets/${DATASET}.yaml \\
    --config-file configs/trainers/Tiny/base_to_novel/${DATASET}.yaml DATASET.SUBSAMPLE_CLASSES base
python train.py --trainer Tiny_$2 --dataset-config-file configs/datasets/${DATASET}.yaml --eval-only \\
    --config-file configs/trainers/Tiny/novel.yaml DATASET.SUBSAMPLE_CLASSES new
""",
    "configs/datasets/btmri.yaml": "DATASET:\n  NAME: Theirs\n  VAL_PERCENT: 0.25\nOPTIM:\n  LR: 0.9\n  GAMMA: 0.75\n",
    "configs/trainers/Tiny/vit.yaml": """
OPTIM:
  LR: 0.0625
  NAME: sgd
TRAINER:
  TINY:
    SIDE: 1
    N_CTX: 4
INPUT:
  TRANSFORMS: ["random_resized_crop", "normalize"]
  PIXEL_STD: [0.5, 0.25, 0.125]
""",
    "configs/trainers/Tiny/base_to_novel/btmri.yaml": "OPTIM:\n  LR: 0.125\n",
    "configs/trainers/Silent/few_shot/btmri.yaml": "OPTIM:\n  LR: 0.03125\n",
}


def write(folder: Path, **changed: str | None) -> Path:
    """Write the checkout to `folder`, and return `folder`.

    Args:
        folder: an absolute path.
        changed: other text of files, by their path, at the top of the checkout without .py; None for no file.
    """
    for name, text in {**FILES, **{name: text for name, text in changed.items() if "/" in name}}.items():
        text = changed.get(name.removesuffix(".py"), text)
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below `folder`, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
