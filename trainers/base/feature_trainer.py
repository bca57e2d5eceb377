"""The base of every method: stored image features in, logits out, a checkpoint of what was learned.

The frozen image tower runs once per image and view (`clip.FeatureStore`); what reaches a method are mini-batches of
features. The loop, its log lines and the checkpoint files are Dassl's.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from clip import Tokens
from clip.build import is_phantom
from clip.digests import Digests
from dassl.data import DataManager
from dassl.errors import DivergedError, UserError
from dassl.metrics import compute_accuracy
from dassl.names import shared_name
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import get_random_state, set_random_seed, set_random_state
from datasets.base import PHANTOM_NOTICE
from trainers.base import checkpoints
from trainers.base.backbones import set_input, shared_backbone, with_input
from trainers.base.checkpointed import CheckpointedTrainer
from trainers.base.digests import config_digest, method_settings, of_images, of_training, tell_copies
from trainers.base.feature_loader import FeatureLoader
from trainers.base.results import Results, device_facts, evaluate
from trainers.base.step import Step, backward, losses

VIEWS_AT_ONCE = 50_000  # image views held in memory: 100 MB at D = 512


class FeatureTrainer(CheckpointedTrainer):
    """The base of all methods. A method overrides `build_method`, `logits` and, where it learns, `loss`.

    It is found by being in trainers/ and registering itself. In its own body its class may set `short`, its name on
    command lines (by default the class's name in lower case), and `seedless = True` if one run stands for every seed.
    """

    closed_set = False  # whether the method has no classifier for classes that it never saw
    guide = ""  # name of a loss term that is not minimised: `redirect` gets its gradients
    together = 1  # number of runs whose steps are taken together, and share the time that these take
    random_state: dict[str, Any] | None = None  # of the run's own random numbers, while several runs take turns
    sentences: tuple[int, str | None] = (0, None)  # number of LLM sentences read per class, and their digest
    on_test: Callable[[Results], None] | None = None  # called with the results of every test

    @staticmethod
    def defaults() -> CfgNode:
        """The method's settings: the node of `cfg.TRAINER` that bears its name in capitals."""
        return CfgNode({"PREC": "fp32"})  # of the frozen towers: "fp32", "tf32" or "bf16"

    # ------------------------------------------------------------------------------------- what a method supplies

    def build_method(self, classnames: list[str]) -> None:
        """Make what the method needs, and `learn()` each module that has parameters."""

    def logits(self, features: Tensor) -> Tensor:
        """Logits [B, C] of unit image features [B, D]."""
        raise NotImplementedError

    def prompts(self, features: Tensor) -> tuple[Tensor, Tokens] | None:
        """Return the prompts that a step on image features [B, D] needs: embeddings [N, L, token_dim] and tokens.

        None, the default, for a method without prompts.
        """
        return None

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        """Return logits [B, C] and the weighted loss terms by name, whose sum is minimised.

        Args:
            features: unit image features [B, D].
            labels: [B].
            prompts: unit text features [N, D] of what `prompts` returned; [0, D] where it returned None.
        """
        raise NotImplementedError

    def redirect(self, guides: list[Tensor]) -> None:
        """Change the gradients of the learned parameters by those of the loss term `guide`, in the same order."""

    def extra_metrics(self, features: Tensor, labels: Tensor) -> dict[str, float]:
        """Return further figures, in percent, of the features [N, D] and labels [N] that were tested."""
        return {}

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw the random numbers that the run would draw alone, although other runs draw in between."""
        if self.random_state is None:
            yield
            return
        set_random_state(self.random_state)
        yield
        self.random_state = get_random_state(cuda=self.device.type == "cuda")

    # ------------------------------------------------------------------------------------------------ construction

    @property
    def settings(self) -> CfgNode:
        return method_settings(self.cfg)

    @classmethod
    def complete_cfg(cls, cfg: CfgNode) -> None:
        """Set what the backbone decides: size, pixel statistics and interpolation of images. Loads the backbone."""
        set_input(cfg, shared_backbone(cfg)[0])

    def build_data_loader(self) -> None:
        self.started = time.time()
        self.backbone, self.store = shared_backbone(self.cfg)
        self.cfg = cfg = with_input(self.cfg, self.backbone)
        self.store.said.clear()  # each run says what is assumed about its images
        self.dm = self.build_data_manager()
        self.num_classes, self.lab2cname = self.dm.num_classes, self.dm.lab2cname
        self.train_items = self.dm.dataset.train_x
        self.train_transform, self.test_transform = self.dm.train_transform, self.dm.test_transform
        self.train_loader_x = FeatureLoader(
            self.train_features,
            torch.tensor([item.label for item in self.train_items], device=self.device),
            cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
        )
        self._views: dict[int, Tensor] = {}

    def build_data_manager(self) -> DataManager:
        """Return the data set and its transforms; Dassl's loaders, which are built when they are asked for, are not."""
        return DataManager(self.cfg)

    def build_model(self) -> None:
        cfg = self.cfg
        classnames = self.dm.dataset.classnames
        if "phantom" in vars(self.dm.dataset) and self.dm.dataset.phantom:
            print(PHANTOM_NOTICE)
        b = self.backbone
        print(f"Backbone: {b.name} (D = {b.embed_dim}, {b.image_size} px), {len(classnames)} classes")
        if cfg.SEED >= 0:  # a method's first values follow from the seed alone, whoever has loaded the backbone
            set_random_seed(cfg.SEED)
        self.build_method(classnames)
        self.hashes = {"config": config_digest(cfg), "sentences": self.sentences[1]}
        self.hashes |= of_training(cfg, self.dm.dataset)
        tell_copies(cfg, self.dm.dataset)
        count = sum(parameter.numel() for parameter in self.learned_parameters())
        print(f"Learned parameters: {count:,} in {self.get_model_names() or 'none'}")
        self.built_state = get_random_state(cuda=self.device.type == "cuda")
        self.seconds = {"start": time.time() - self.started}

    @property
    def print_freq(self) -> int:
        return min(self.cfg.TRAIN.PRINT_FREQ, len(self.train_loader_x))  # one line an epoch, not one a batch

    def learned_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of all registered modules."""
        return [parameter for name in self.get_model_names() for parameter in self._models[name].parameters()]

    def learn(self, name: str, module: nn.Module, **optim) -> None:
        """Register a module to be optimised and kept as `<run>/<name>/`; `optim` overrides keys of cfg.OPTIM."""
        optim_cfg = self.cfg.OPTIM.clone()
        optim_cfg.merge_from_list([x for pair in optim.items() for x in pair])
        module.to(self.device)
        optimizer = build_optimizer(module, optim_cfg)
        self.register_model(name, module, optimizer, build_lr_scheduler(optimizer, optim_cfg))

    # ---------------------------------------------------------------------------------------------------- features

    def train_features(self, epoch: int) -> Tensor:
        """Features [N, D] of the support set as epoch `epoch` sees it: view `epoch`, or one of FEATURES.VIEWS.

        They lie on the device, so that a step copies nothing to it."""
        views = self.cfg.FEATURES.VIEWS
        wanted = epoch % views if views else epoch
        if wanted not in self._views:  # encode many epochs' views in one go
            block = max(1, VIEWS_AT_ONCE // len(self.train_items))
            last = min(wanted + block, views or self.max_epoch)
            numbers = list(range(wanted, max(last, wanted + 1)))
            paths = [item.impath for item in self.train_items]
            features = self.store.images(
                paths * len(numbers), self.train_transform, [v for v in numbers for _ in paths]
            ).to(self.device)
            self._views = dict(zip(numbers, features.view(len(numbers), len(paths), -1), strict=True))
        return self._views[wanted]

    def plain_features(self, items: list) -> Tensor:
        """Features [N, D] of data items under the test transform (no augmentation)."""
        return self.store.images([item.impath for item in items], self.test_transform).to(self.device)

    # ---------------------------------------------------------------------------------------------------- training

    @property
    def iteration(self) -> int:
        """Number of steps taken before this one."""
        return self.epoch * len(self.train_loader_x) + self.batch_idx

    @property
    def total_iterations(self) -> int:
        return self.max_epoch * len(self.train_loader_x)

    def before_train(self) -> None:
        if self.max_epoch and type(self).loss is FeatureTrainer.loss:
            raise UserError(
                f"Expected OPTIM.MAX_EPOCH to be 0, but got {self.max_epoch}: {self.cfg.TRAINER.NAME} does not learn "
                "in epochs."
            )
        self.start_epoch = self.resume_model_if_exist(self.cfg.RESUME or self.output_dir)
        self.time_start = time.time()

    def before_epoch(self) -> None:
        self.train_loader_x.epoch = self.epoch

    def parse_batch_train(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return batch["features"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch: dict[str, Tensor]) -> dict[str, float]:
        batch = self.parse_batch_train(batch)
        (step,) = losses([self], [batch])
        summary = self.summary(step, batch[1])
        self.model_zero_grad()
        backward([self], [step])
        self.update()
        return summary

    def summary(self, step: Step, labels: Tensor) -> dict[str, float]:
        """Figures for the log, brought to the CPU in one go.

        Raises:
            DivergedError: a term is not finite; names it.
        """
        logits, terms = step
        *values, accuracy = torch.stack([*terms.values(), compute_accuracy(logits, labels)[0].squeeze()]).tolist()
        for name, value in zip(terms, values, strict=True):
            if not math.isfinite(value):
                raise DivergedError(
                    f"Expected finite loss terms, but {name} is {value} at epoch {self.epoch + 1}, batch "
                    f"{self.batch_idx + 1}: lower OPTIM.LR or the weight of {name}; the last good epoch is kept."
                )
        shown = dict(zip(terms, values, strict=True)) if len(terms) > 1 else {}
        return {"loss": sum(values), "acc": accuracy} | shown

    def update(self) -> None:
        """Step the optimizers, and the schedulers after an epoch's last batch."""
        self.model_update()
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()

    def after_epoch(self) -> None:
        self.save_model(self.epoch, self.output_dir)

    def after_train(self) -> None:
        print("Finish training")
        self.seconds["train"] = (time.time() - self.time_start) / self.together
        for name in self.get_model_names()[:1]:
            self.learned = checkpoints.digest(checkpoints.newest(Path(self.output_dir) / name))
        if not self.cfg.TEST.NO_TEST:
            self.test()
        print(f"Elapsed: {timedelta(seconds=round(time.time() - self.time_start))}")

    # --------------------------------------------------------------------------------------------------------- test

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Accuracy (percent) on the test split (or cfg.TEST.SPLIT), printed, and written with the predictions."""
        self.set_model_mode("eval")
        began = time.time()
        split = split or self.cfg.TEST.SPLIT
        items = self.dm.dataset.val if split == "val" else self.dm.dataset.test
        if not items:
            raise UserError(f"Expected images in the {split} split of {self.cfg.DATASET.NAME}, but it has none.")
        print(f"Evaluate on the *{split}* set")
        features = self.plain_features(items)
        labels = torch.tensor([item.label for item in items])
        logits = self.logits(features).float().cpu()
        self.evaluator.reset()
        self.evaluator.process(logits, labels)
        accuracy = self.evaluator.evaluate()["accuracy"]
        self.seconds["test"] = time.time() - began
        results = evaluate(self.dm.dataset, items, logits, labels, self.extra_metrics(features, labels))
        if self.on_test:
            self.on_test(results)
        return accuracy

    def facts(self, items: list) -> dict[str, Any]:
        """Return what a run's record says of this trainer, tested on `items`."""
        return {
            "phantom": getattr(self.dm.dataset, "phantom", False),
            "phantom_backbone": is_phantom(self.backbone.name),
            "backbone": shared_name(self.backbone.name),
            "backbone_revision": self.backbone.revision,
            "sentences_per_class": self.sentences[0],
            "loaded": self.loaded,
            "hashes": {
                **self.hashes,
                "settings": config_digest(self.cfg, without=("SEED",)),  # of all seeds of an experiment
                "test": of_images(items, Digests(self.cfg.FEATURES.ROOT or None)),
                "learned": self.learned,
                "backbone": self.backbone.fingerprint(),
            },
            "device": device_facts(self.device, self.backbone.precision),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }
