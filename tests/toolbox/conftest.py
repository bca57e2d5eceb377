"""A data set and a trainer as they are written for Dassl and CoOp, with small images and a tiny frozen "CLIP"."""
# ruff: noqa: PTH100, PTH110, PTH111, PTH118
# os.path as such plugins use it

import os.path as osp
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from yacs.config import CfgNode as CN

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint, load_pretrained_weights, read_json, write_json

CLASSES = ["red_square", "green_square", "blue_square", "grey_square"]
SIZES = {"train": 8, "val": 3, "test": 5}


@DATASET_REGISTRY.register()
class ToySquares(DatasetBase):
    dataset_dir = "toy_squares"

    def __init__(self, cfg):
        root = osp.abspath(osp.expanduser(cfg.DATASET.ROOT))
        self.dataset_dir = osp.join(root, self.dataset_dir)
        self.image_dir = osp.join(self.dataset_dir, "images")
        self.split_path = osp.join(self.dataset_dir, "split_toy.json")

        train, val, test = self.read_split(self.split_path, self.image_dir)
        train = self.generate_fewshot_dataset(train, num_shots=cfg.DATASET.NUM_SHOTS)
        val = self.generate_fewshot_dataset(val, num_shots=min(cfg.DATASET.NUM_SHOTS, 4))

        super().__init__(train_x=train, val=val, test=test)

    @staticmethod
    def read_split(filepath, path_prefix):
        def _convert(items):
            out = []
            for impath, label, classname in items:
                impath = osp.join(path_prefix, impath)
                out.append(Datum(impath=impath, label=int(label), classname=classname))
            return out

        print(f"Reading split from {filepath}")
        split = read_json(filepath)
        return _convert(split["train"]), _convert(split["val"]), _convert(split["test"])


class PromptLearner(nn.Module):
    def __init__(self, cfg, classnames):
        super().__init__()
        generator = torch.Generator().manual_seed(len(classnames))
        words = torch.randn(len(classnames), 3, 8, generator=generator)
        self.dropout = nn.Dropout(0.2)
        self.ctx = nn.Parameter(torch.zeros(len(classnames), cfg.TRAINER.TOYCOOP.N_CTX, 8))
        self.register_buffer("token_prefix", words[:, :1])
        self.register_buffer("token_suffix", words[:, 1:])

    def forward(self):
        return self.dropout(torch.cat([self.token_prefix, self.ctx, self.token_suffix], dim=1))


class CustomCLIP(nn.Module):
    def __init__(self, cfg, classnames):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.prompt_learner = PromptLearner(cfg, classnames)
        self.image_encoder = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8))
        self.text_encoder = nn.Linear(8 * (3 + cfg.TRAINER.TOYCOOP.N_CTX), 8)
        for name, parameter in self.named_parameters():
            if "prompt_learner" not in name:
                parameter.data = torch.randn(parameter.shape, generator=generator)

    def forward(self, image):
        text = F.normalize(self.text_encoder(self.prompt_learner().flatten(1)), dim=-1)
        return 10 * F.normalize(self.image_encoder(image), dim=-1) @ text.t()


@TRAINER_REGISTRY.register()
class ToyCoOp(TrainerX):
    def check_cfg(self, cfg):
        assert cfg.TRAINER.TOYCOOP.PREC in ["fp16", "fp32", "amp"]

    def build_model(self):
        cfg = self.cfg
        classnames = self.dm.dataset.classnames
        self.model = CustomCLIP(cfg, classnames)
        for name, param in self.model.named_parameters():
            if "prompt_learner" not in name:
                param.requires_grad_(False)
        if cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model.prompt_learner, cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        # NOTE: only give prompt_learner to the optimizer
        self.optim = build_optimizer(self.model.prompt_learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompt_learner", self.model.prompt_learner, self.optim, self.sched)

    def forward_backward(self, batch):
        image, label = self.parse_batch_train(batch)
        output = self.model(image)
        loss = F.cross_entropy(output, label)
        self.model_backward_and_update(loss)
        loss_summary = {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return loss_summary

    def parse_batch_train(self, batch):
        input = batch["img"]
        label = batch["label"]
        input = input.to(self.device)
        label = label.to(self.device)
        return input, label

    def load_model(self, directory, epoch=None):
        if not directory:
            print("Note that load_model() is skipped as no pretrained model is given")
            return
        names = self.get_model_names()
        model_file = "model-best.pth.tar"
        if epoch is not None:
            model_file = "model.pth.tar-" + str(epoch)
        for name in names:
            model_path = osp.join(directory, name, model_file)
            if not osp.exists(model_path):
                raise FileNotFoundError(f'Model not found at "{model_path}"')
            checkpoint = load_checkpoint(model_path)
            state_dict = checkpoint["state_dict"]
            epoch = checkpoint["epoch"]
            # Ignore fixed token vectors
            if "token_prefix" in state_dict:
                del state_dict["token_prefix"]
            if "token_suffix" in state_dict:
                del state_dict["token_suffix"]
            print(f'Loading weights to {name} from "{model_path}" (epoch = {epoch})')
            # set strict=False
            self._models[name].load_state_dict(state_dict, strict=False)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """Make the folder of ToySquares, with images and split file: 4 classes of 8 + 3 + 5 images."""
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    split = {}
    for part, size in SIZES.items():
        split[part] = []
        for label, name in enumerate(CLASSES):
            for number in range(size):
                pixels = generator.normal(90, 40, (20, 24, 3))
                if label < 3:
                    pixels[..., label] += 60
                path = root / "toy_squares" / "images" / name / f"{part}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(path)
                split[part].append([f"{name}/{path.name}", label, name])
    write_json(split, root / "toy_squares" / "split_toy.json")
    return root


@pytest.fixture
def cfg(data_root, tmp_path):
    """Build a configuration as CoOp's train.py does: defaults, keys of the trainer, yaml files, options."""
    cfg = get_cfg_default()
    cfg.TRAINER.TOYCOOP = CN()
    cfg.TRAINER.TOYCOOP.N_CTX = 2
    cfg.TRAINER.TOYCOOP.PREC = "fp32"
    yaml = tmp_path / "trainer.yaml"
    yaml.write_text(
        """
DATALOADER:
  TRAIN_X:
    BATCH_SIZE: 4
  TEST:
    BATCH_SIZE: 100
  NUM_WORKERS: 0
INPUT:
  SIZE: (16, 16)
  INTERPOLATION: "bicubic"
  PIXEL_MEAN: [0.48145466, 0.4578275, 0.40821073]
  PIXEL_STD: [0.26862954, 0.26130258, 0.27577711]
  TRANSFORMS: ["random_resized_crop", "random_flip", "normalize"]
OPTIM:
  NAME: "sgd"
  LR: 0.02
  MAX_EPOCH: 4
  LR_SCHEDULER: "cosine"
  WARMUP_EPOCH: 1
  WARMUP_TYPE: "constant"
  WARMUP_CONS_LR: 1e-5
TRAIN:
  PRINT_FREQ: 2
MODEL:
  BACKBONE:
    NAME: "ViT-B/16"
DATASET:
  NAME: "ToySquares"
  NUM_SHOTS: 4
"""
    )
    cfg.merge_from_file(str(yaml))
    cfg.merge_from_list(["SEED", 1, "TRAINER.NAME", "ToyCoOp"])
    cfg.DATASET.ROOT = str(data_root)
    cfg.OUTPUT_DIR = str(tmp_path / "output")
    return cfg


@pytest.fixture
def write_dicom(tmp_path):
    """Return `write_dicom(values, tag=...)`, which writes a DICOM file without a suffix and returns its path."""
    from tests.toolbox.dicom_files import dataset, saved  # needs pydicom, which is optional

    return lambda *args, **tags: saved(tmp_path / "IM0001", dataset(*args, **tags))


@pytest.fixture
def stdout_restored(monkeypatch):
    """Undo what `setup_logger` does to sys.stdout."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
