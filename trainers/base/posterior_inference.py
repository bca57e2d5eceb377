"""The part of a method that classifies by the posterior of `trainers.posterior`: images, prompts and LLM sentences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.console import tell
from dassl.data.datasets import Datum
from dassl.errors import UserError
from trainers import posterior
from trainers.base import checkpoints
from trainers.base.digests import POSTERIOR, method_settings, reads_sentences
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.labels import labels_of
from trainers.base.linear_head import LinearHead
from trainers.base.text_features import ensemble, llm_features
from trainers.base.validation import Choice, ChosenOnValidation, score
from trainers.posterior import Evidence

EVIDENCE = "evidence"  # the folder of its checkpoint
N_PROMPTS = 50  # LLM prompts per class, for a method that has no setting of this name
WORTHS = (1, 2, 4, 8, 16, 32, 64)  # from which N_0 0 chooses
WITHOUT_VALIDATION = 8.0  # n_0, where N_0 0 has nothing to choose on


class SupportEvidence(nn.Module):
    """What the support images say, as a checkpoint holds it: no image has to be opened again.

    Attributes:
        sums, counts: of the unit features of each class [C, D], and its images [C].
        n_0: images that the text is worth [].
        shift: what the refinement adds to each direction [C, D]; zero without it.
    """

    sums: Tensor
    counts: Tensor
    n_0: Tensor
    shift: Tensor

    def __init__(self, n_classes: int, dim: int, n_0: float):
        super().__init__()
        self.register_buffer("sums", torch.zeros(n_classes, dim))
        self.register_buffer("counts", torch.zeros(n_classes))
        self.register_buffer("n_0", torch.tensor(float(n_0)))
        self.register_buffer("shift", torch.zeros(n_classes, dim))


class PosteriorInference(ChosenOnValidation):
    """Classify by the posterior, if the method's inference is that; what training computes is not changed.

    The support images' sums, by the names of their classes, travel in the checkpoint, so that a test on novel classes
    opens no other images than those that it tests.
    """

    evidence: SupportEvidence
    llm_means: Tensor | None = None
    support_classes: list[str]
    learned_classes: list[str]  # of the run that was loaded

    @staticmethod
    def defaults() -> CfgNode:
        node = FeatureTrainer.defaults()
        node.N_0 = 8.0  # images that the text is worth; 0: validation images choose
        node.IMAGES = True  # support images move their class; False: they tell the centre and the spread alone
        node.REFINE = 1.0  # images that this direction is worth in a logistic regression on the support set; 0: none
        node.CONCENTRATION = False  # average the likelihood over the posterior, in place of taking its mode
        return node

    @property
    def posterior(self) -> bool:
        """Whether this run classifies by the posterior."""
        return self.settings.get("INFERENCE", POSTERIOR) == POSTERIOR

    @property
    def chooses(self) -> bool:
        return self.posterior and not self.settings.N_0

    def check_cfg(self, cfg: CfgNode) -> None:
        """Raise a UserError if a setting of the posterior has no meaning."""
        super().check_cfg(cfg)
        s, name = method_settings(cfg), f"TRAINER.{cfg.TRAINER.NAME.upper()}"
        for key in ("N_0", "REFINE"):
            if s[key] < 0:
                raise UserError(f"Expected {name}.{key} of 0 or more, but got {s[key]:g}: give a number of images.")

    # ------------------------------------------------------------------------------------------------ what is learned

    def build_method(self, classnames: list[str]) -> None:
        if not self.posterior:
            return
        s = self.settings
        if reads_sentences(s):
            self.llm_means = ensemble(llm_features(self, s.get("N_PROMPTS", N_PROMPTS)))
        self.hold(SupportEvidence(len(classnames), self.backbone.embed_dim, s.N_0), classnames)

    def hold(self, evidence: SupportEvidence, names: list[str]) -> None:
        """Classify with this evidence, whose rows are the classes `names`."""
        self.evidence, self.support_classes = evidence.to(self.device), names
        self._models.pop(EVIDENCE, None)
        self.register_model(EVIDENCE, self.evidence)

    def before_train(self) -> None:
        if self.posterior:
            self.gather(self.dm.dataset.classnames)
        super().before_train()

    @torch.no_grad()
    def gather(self, names: list[str]) -> None:
        """Sum the features of the support images, which are of the classes `names`."""
        features, labels = self.plain_features(self.train_items), labels_of(self.train_items, self.device)
        found = SupportEvidence(len(names), features.shape[1], self.settings.N_0).to(self.device)
        for kept, each in zip((found.sums, found.counts), posterior.gather(features, labels, len(names)), strict=True):
            kept.copy_(each)
        self.hold(found, names)

    @torch.no_grad()
    def choose_settings(self) -> None:
        """Choose n_0 on validation images if N_0 is 0, then refine the directions; both follow the last epoch."""
        if not self.posterior:
            return
        s = self.settings
        if not s.N_0:
            self.evidence.n_0.fill_(self.choose(self.best_worth, configured=WITHOUT_VALIDATION))
        if s.REFINE and s.IMAGES:
            features, labels = self.plain_features(self.train_items), labels_of(self.train_items, self.device)
            prompts = self.class_prompts()
            w, kappa = posterior.mode(self.resultant(prompts)), self.kappa(prompts)
            strength = posterior.penalty(s.REFINE, kappa, self.seen_images.spread.item())
            x = features.double() - self.seen_images.centre
            self.evidence.shift.copy_(posterior.refine(x, labels, w, kappa, strength) - w)

    def best_worth(self, features: Tensor, labels: Tensor) -> Choice[float]:
        """Choose the n_0 whose posterior is most often right on validation features [N, D] and labels [N]."""
        prompts, scores = self.class_prompts(), {}
        for worth in WORTHS:
            self.evidence.n_0.fill_(worth)
            scores[worth] = score(self.posterior_logits(features, prompts), labels)
        best = max(WORTHS, key=lambda worth: scores[worth])
        return Choice(float(best), f"n_0 {best}, {scores[best][0]} right")

    def load_model(self, directory: str | Path, epoch: int | None = None) -> None:
        """Load what an earlier run learned, and its evidence.

        A run whose inference was another one has none. The support set is then looked at again, that of the base
        classes in a test on novel ones.
        """
        super().load_model(directory, epoch)
        if not self.posterior or self.get_model_names()[0] == EVIDENCE:
            return
        folder = Path(directory) / EVIDENCE
        if found := checkpoints.last_common_epoch([folder]):
            self.fill(EVIDENCE, checkpoints.load(folder, epoch or found), folder)
            return
        if self.on_novel_classes and not self.settings.N_0:
            raise UserError(
                f"Expected {folder} with an n_0 that was chosen on the base classes, but there is none: train with "
                "INFERENCE posterior, or set N_0."
            )
        tell(f"No {folder}: the support images are looked at again")
        self.gather(self.learned_classes)
        if not self.on_novel_classes:
            self.choose_settings()

    def fill(self, name: str, state: dict[str, Any], folder: Path) -> None:
        """Load the evidence of any classes, each by its name; other tensors as ever."""
        names = self.learned_classes = state["classnames"]
        if name != EVIDENCE:
            super().fill(name, state, folder)
            return
        fresh = SupportEvidence(len(names), self.backbone.embed_dim, 0)
        with checkpoints.checked_fit(folder):
            fresh.load_state_dict(state["state_dict"])
        sound = all(value.isfinite().all() for value in fresh.buffers()) and fresh.counts.ge(0).all() and fresh.n_0 >= 0
        if not (sound and names and all(isinstance(each, str) for each in names)):
            raise UserError(
                f"Expected class names, sums and numbers of images in {folder}, but got others: train again."
            )
        self.hold(fresh, names)

    # ---------------------------------------------------------------------------------------------------- inference

    @property
    def seen_images(self) -> Evidence:
        """The evidence of the classes that have been learned."""
        return Evidence(self.evidence.sums.double(), self.evidence.counts.double())

    def class_prompts(self) -> Tensor | None:
        """Return the features [C, D] of the learned prompts, of no image in particular; None for a method without."""
        return None

    def text_directions(self) -> Tensor | None:
        prompts = self.class_prompts()
        return self.llm_means if prompts is None else prompts

    def centred_directions(self) -> Tensor | None:
        return self.directions(self.resultant(self.class_prompts())) if self.posterior else None

    def support_centre(self) -> Tensor | None:
        if not self.posterior:
            return super().support_centre()
        return self.seen_images.centre if self.evidence.counts.any() else None

    def kappa(self, prompts: Tensor | None) -> float:
        """Return the concentration of the likelihood: the logit scale times how far apart the texts of classes lie."""
        text = prompts if self.llm_means is None else self.llm_means
        assert text is not None  # a method without prompts reads sentences
        return float(self.backbone.logit_scale) * float(posterior.size(text).mean())

    def resultant(self, prompts: Tensor | None) -> Tensor:
        """Return W [C, D] of the classes of this run, from the features of their prompts; [B, C, D] from [B, C, D]."""
        s, seen = self.settings, self.seen_images
        text = posterior.text_directions(prompts, self.llm_means, s.get("RHO", 1.0))
        return posterior.resultant(text, seen, self.evidence.n_0.double(), s.IMAGES, self.of_classes)

    def directions(self, W: Tensor) -> Tensor:
        """Return the directions [C, D] or [B, C, D] of the resultants W: the modes, and what refinement adds."""
        return posterior.mode(W) + self.of_classes(self.evidence.shift.double())

    def of_classes(self, rows: Tensor) -> Tensor:
        """Return rows of learned classes for the classes of this run; zeros for a class that was not learned."""
        return posterior.by_name(rows, self.support_classes, self.dm.dataset.classnames)

    def posterior_logits(self, features: Tensor, prompts: Tensor | None) -> Tensor:
        """Return the logits [B, C] of image features [B, D], with prompts [C, D] or [B, C, D]."""
        W, kappa = self.resultant(prompts), self.kappa(prompts)
        w, x = self.directions(W), features.double() - self.seen_images.centre
        if not self.settings.CONCENTRATION:
            return posterior.mode_logits(x, w, kappa)
        # The directions lie in the span of C vectors: on its sphere they scatter.
        sure, dimension = posterior.concentration(W, kappa), max(2, W.shape[-2])
        return posterior.predictive_logits(x, posterior.mode(w), sure, kappa, dimension)

    def linear_head(self) -> LinearHead | None:
        """Return the weight and bias; None where the likelihood is averaged over the posterior."""
        return None if self.posterior and self.settings.CONCENTRATION else super().linear_head()

    # -------------------------------------------------------------------------------------------------- what is told

    def test(self, split: str | None = None) -> float:
        if self.posterior:
            self.tell()
        return super().test(split)

    @torch.no_grad()
    def concentrations(self) -> dict[str, float]:
        """Return the concentration of the posterior of each class, by name."""
        prompts = self.class_prompts()
        found = posterior.concentration(self.resultant(prompts), self.kappa(prompts))
        return dict(zip(self.dm.dataset.classnames, found.tolist(), strict=True))

    def tell(self) -> None:
        """Print what the posterior is made of."""
        seen, worth = self.seen_images, self.evidence.n_0.item()
        print(f"Posterior: the text is worth {worth:g} images; spread s {seen.spread:.3f}, scatter {seen.scatter:.3f}")
        counts = self.of_classes(self.evidence.counts).tolist()
        for (name, kappa), count in zip(self.concentrations().items(), counts, strict=True):
            print(f"Posterior: kappa {kappa:.1f} from the text and {count:g} images, {name}")

    def facts(self, items: Sequence[Datum]) -> dict[str, Any]:
        own = {"concentrations": self.concentrations()} if self.posterior else {}
        return super().facts(items) | own
