"""The base of all methods: it trains on mini-batches of stored image features, tests, and reports the results.

The loop over epochs, its lines in the log and the names of checkpoints are Dassl's.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from clip import Tokens
from clip.build import is_phantom
from clip.digests import Digests
from dassl.console import tell
from dassl.data.datasets import Datum
from dassl.errors import DivergedError, UserError
from dassl.metrics import compute_accuracy
from dassl.names import shared_name
from dassl.utils import get_random_state, set_random_seed, set_random_state
from datasets.base import PHANTOM_NOTICE
from datasets.prompts.provenance import Provenance
from trainers.base import checkpoints
from trainers.base.digests import check_copies, config_digest, images_digest, method_settings, training_digests
from trainers.base.gap_told import GapTold
from trainers.base.labels import labels_of
from trainers.base.linear_head import LinearHead, head_of, is_affine
from trainers.base.results import Results, device_facts, evaluate
from trainers.base.schedule import ITERATION
from trainers.base.step import Step, backpropagate, compute_losses


class FeatureTrainer(GapTold):
    """The base of all methods. A method overrides `build_method`, `logits` and, if it learns in epochs, `loss`.

    A method is a registered class in a file of trainers/. In its own body the class may set `short`, its name on
    command lines (by default the name of the class in lower case), `title`, its name in comparisons (by default that of
    the class), and `seedless = True` if all seeds give one result.

    Attributes:
        closed_set: whether the method has no classifier for novel classes.
        guide: name of a loss term that is not minimised, and whose gradients are passed to `redirect`.
        together: number of runs that take their steps together, and share the time of these.
        random_state: state of the random generators of this run while several runs take turns, else None.
        built_state: state of the random generators after the construction.
        sentences: number of LLM prompts per class, and their digest.
        read: their features [C, n, D], by that number.
        provenance: who wrote them; None for a method that reads none.
        on_test: called with the results of each test.
    """

    closed_set = False
    guide = ""
    together = 1
    random_state: dict[str, Any] | None = None
    built_state: dict[str, Any]
    sentences: tuple[int, str | None] = (0, None)
    read: dict[int, Tensor]
    provenance: Provenance | None = None
    on_test: Callable[[Results], None] | None = None

    @staticmethod
    def defaults() -> CfgNode:
        """Return the default settings of the method: the node of `cfg.TRAINER` with its name in capitals."""
        return CfgNode({"PREC": "fp32"})  # precision of the frozen towers: "fp32", "tf32" or "bf16"

    # ------------------------------------------------------------------------------------- parts that a method defines

    def build_method(self, classnames: list[str]) -> None:
        """Build the parts of the method, and call `learn` with each module that has parameters."""

    def build_training(self, classnames: list[str]) -> None:
        """Build what training alone needs; it follows `build_method`, and is left out where a run is used."""

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [B, C] of unit image features [B, D]; gradients reach the features."""
        raise NotImplementedError

    def linear_head(self) -> LinearHead | None:
        """Return the weight and bias of the logits; None for a method whose `logits` are not marked as `affine`."""
        return head_of(self.logits, self.backbone.embed_dim, self.device) if is_affine(type(self)) else None

    def prompts(self, features: Tensor) -> tuple[Tensor, Tokens] | None:
        """Return the prompts for a step on image features [B, D]: embeddings [N, L, token_dim] and tokens [N, L].

        None, the default, is for a method that learns no prompts.
        """
        return None

    def loss(self, features: Tensor, labels: Tensor, prompts: Tensor) -> Step:
        """Return the logits [B, C], and the weighted loss terms by name, whose sum is minimised.

        Args:
            features: unit image features [B, D].
            labels: [B].
            prompts: unit text features [N, D] of the prompts that `prompts` returned; [0, D] if it returned None.
        """
        raise NotImplementedError

    def redirect(self, guides: list[Tensor]) -> None:
        """Change the gradients of the learned parameters, given those of the loss term `guide` in the same order."""

    def extra_metrics(self, features: Tensor, labels: Tensor) -> dict[str, float]:
        """Return further metrics of a test, in percent, from its features [N, D] and labels [N]."""
        return {}

    @contextlib.contextmanager
    def own_random_numbers(self) -> Iterator[None]:
        """Draw the random numbers that this run draws alone, even if other runs draw in between."""
        if self.random_state is None:
            yield
            return
        set_random_state(self.random_state)
        yield
        self.random_state = get_random_state(cuda=self.device.type == "cuda")

    # ------------------------------------------------------------------------------------------------ construction

    @property
    def settings(self) -> CfgNode:
        """The settings of the method."""
        return method_settings(self.cfg)

    def build_model(self) -> None:
        cfg, self.read = self.cfg, {}
        classnames = self.dm.dataset.classnames
        if "phantom" in vars(self.dm.dataset) and self.dm.dataset.phantom:
            tell(PHANTOM_NOTICE)
        b = self.backbone
        print(f"Backbone: {b.name} (D = {b.embed_dim}, {b.image_size} px), {len(classnames)} classes")
        if cfg.SEED >= 0:  # so that initial values depend on the seed alone, not on whether the backbone was loaded
            set_random_seed(cfg.SEED)
        self.build_method(classnames)
        self.build_training(classnames)
        self.hashes = {"config": config_digest(cfg), "sentences": self.sentences[1]}
        self.hashes |= training_digests(cfg, self.dm.dataset)
        if not self.on_novel_classes:  # of these no image may be opened before the test
            check_copies(cfg, self.dm.dataset)
        count = sum(parameter.numel() for parameter in self.learned_parameters())
        print(f"Learned parameters: {count:,} in {self.get_model_names() or 'none'}")
        self.built_state = get_random_state(cuda=self.device.type == "cuda")
        self.end_part("start")

    @property
    def print_freq(self) -> int:
        # With fewer batches than PRINT_FREQ, Dassl would print each: one line an epoch is enough.
        return min(self.cfg.TRAIN.PRINT_FREQ, len(self.train_loader_x))

    # ---------------------------------------------------------------------------------------------------- training

    @property
    def iteration(self) -> int:
        """Number of steps before this one, counted over all epochs."""
        return self.epoch * len(self.train_loader_x) + self.batch_idx

    @property
    def total_iterations(self) -> int:
        """Number of steps of the whole training."""
        return self.max_epoch * len(self.train_loader_x)

    def before_train(self) -> None:
        if self.max_epoch and type(self).loss is FeatureTrainer.loss:
            raise UserError(
                f"Expected OPTIM.MAX_EPOCH to be 0, but got {self.max_epoch}: {self.cfg.TRAINER.NAME} does not learn "
                "in epochs."
            )
        self.start_epoch = self.resume_model_if_exist(self.cfg.RESUME or self.output_dir)
        self.time_start = time.time()
        self.begin_part()

    def before_epoch(self) -> None:
        self.train_loader_x.epoch = self.epoch
        self.train_loader_x.load()  # what it takes to encode images is no part of the time of a batch

    def parse_batch_train(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return batch["features"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch: dict[str, Tensor]) -> dict[str, float]:
        features, labels = self.parse_batch_train(batch)
        (step,) = compute_losses([self], [(features, labels)])
        summary = self.summary(step, labels)
        self.model_zero_grad()
        backpropagate([self], [step])
        self.update()
        return summary

    def summary(self, step: Step, labels: Tensor) -> dict[str, float]:
        """Return the loss, the accuracy and, if there are several, the loss terms of a step, for the log.

        All figures are copied to the CPU at once, as each copy would wait for the GPU.

        Raises:
            DivergedError: a loss term is not finite.
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
        """Step the optimizers, and the schedulers after each of their steps, an iteration or an epoch."""
        self.model_update()
        if self.cfg.OPTIM.SCHEDULE_STEP == ITERATION or self.batch_idx + 1 == self.num_batches:
            self.update_lr()

    def after_epoch(self) -> None:
        self.save_model(self.epoch, self.output_dir)

    def after_train(self) -> None:
        print("Finish training")
        self.end_part("train", self.together)
        for name in self.get_model_names()[:1]:
            self.learned = checkpoints.digest(checkpoints.newest(Path(self.output_dir) / name))
        if not self.cfg.TEST.NO_TEST:
            self.test()
        self.tell_elapsed()

    # --------------------------------------------------------------------------------------------------------- test

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Test on all images of a split, print the metrics, and pass the results to `on_test`.

        Args:
            split: "val" or "test"; None is cfg.TEST.SPLIT.

        Returns:
            Accuracy in percent.

        Raises:
            UserError: there are no images in the split.
        """
        self.set_model_mode("eval")
        self.begin_part()
        split = split or self.cfg.TEST.SPLIT
        items = self.dm.dataset.val if split == "val" else self.dm.dataset.test
        if not items:
            raise UserError(
                f"Expected images in the {split} split of {self.cfg.DATASET.NAME}, but it has none: add some, or "
                "choose another TEST.SPLIT."
            )
        print(f"Evaluate on the *{split}* set")
        if self.on_novel_classes:
            check_copies(self.cfg, self.dm.dataset)
        features = self.plain_features(items)
        labels = labels_of(items)
        logits = self.logits(features).float().cpu()
        self.evaluator.reset()
        self.evaluator.process(logits, labels)
        accuracy = self.evaluator.evaluate()["accuracy"]
        self.end_part("test")
        extra, gap = self.extra_metrics(features, labels), self.gap(features, labels, logits)
        results = evaluate(self.dm.dataset, items, logits, labels, extra, gap)
        if self.on_test:
            self.on_test(results)
        return accuracy

    def facts(self, items: Sequence[Datum]) -> dict[str, Any]:
        """Return the fields of a run's record that this trainer knows, after a test on `items`."""
        return {
            "phantom": getattr(self.dm.dataset, "phantom", False),
            "phantom_backbone": is_phantom(self.backbone.name),
            "backbone": shared_name(self.backbone.name),
            "backbone_revision": self.backbone.revision,
            "views": self.seen if "VIEWS" in self.settings else "many" if self.max_epoch else "none",
            "sentences_per_class": self.sentences[0],
            "prompts": self.provenance and self.provenance._asdict(),
            "loaded": self.loaded,
            "hashes": {
                **self.hashes,
                "settings": config_digest(self.cfg, without=("SEED",)),  # of all seeds of an experiment
                "test": images_digest(items, Digests(self.cfg.FEATURES.ROOT or None)),
                "learned": self.learned,
                "backbone": self.backbone.fingerprint(),
            },
            "device": device_facts(self.device, self.backbone.precision),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }
