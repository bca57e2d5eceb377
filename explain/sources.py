"""What sentences explain with: all that an LLM wrote about the classes of a run, and the centre of its images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from dassl.errors import UserError
from datasets.prompts import bank_path, read_bank
from datasets.prompts.provenance import read_provenance
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.posterior_inference import PosteriorInference
from trainers.base.text_features import check_lengths


class Explained(Protocol):
    """What is needed of a finished run; `runs.predictor.Predictor` has it.

    Attributes:
        trainer: its method, with what it has learned.
        phantom: whether its images or its backbone are phantoms.
    """

    trainer: Any  # a FeatureTrainer

    @property
    def phantom(self) -> bool: ...

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [N, C] of unit image features [N, D]; gradients reach the features."""
        ...

    def dataset(self, why: str) -> Any:
        """Return the run's data set; raise a UserError, which tells why it is needed, if it is not there."""
        ...


class Bank(NamedTuple):
    """Sentences about C classes. Class c has n_c of them.

    Attributes:
        texts: n_c sentences of each class.
        features: their unit features [n_c, D], of each class, on the CPU.
        told: who wrote them.
    """

    texts: Sequence[Sequence[str]]
    features: Sequence[Tensor]
    told: str = ""


def bank_of(trainer: FeatureTrainer, llm: str = "") -> Bank:
    """Return the sentences about the classes of a run, and print one line.

    Args:
        trainer: supplies the data set, its classes and the feature store.
        llm: name of a folder of datasets/prompts/; "" for the file beside the images if there is one, else for the
            run's setting PROMPTS.LLM.

    Raises:
        UserError: there is no such bank, or it lacks a class.
    """
    dataset = trainer.dm.dataset
    beside: Path | None = None if llm else dataset.prompt_bank
    name = llm or trainer.cfg.PROMPTS.LLM
    found = read_bank(beside or bank_path(name, dataset.key), name, dataset.key, dataset.classnames)
    texts = [found[classname] for classname in dataset.classnames]
    told = str(read_provenance(dataset.key, name, bank=beside))
    counts = sorted({len(some) for some in texts})
    print(f"Sentences: {' to '.join(map(str, counts[:1] + counts[1:][-1:]))} per class, by {told}")
    everything = [text for some in texts for text in some]
    check_lengths(trainer.backbone, everything, "cut")
    features = trainer.store.texts(everything)
    return Bank(texts, features.split([len(some) for some in texts]), told)


def image_centre(run: Explained) -> Tensor:
    """Return m_V [D] of a run's support images, float64 on the CPU; zeros, and a line, where they are not known.

    A method that classifies by the posterior has it in its checkpoint. For any other, the support images are needed.
    """
    trainer: FeatureTrainer = run.trainer
    if not (isinstance(trainer, PosteriorInference) and trainer.posterior):
        try:
            trainer.train_items = run.dataset("the centre of the images").train_x
        except UserError as error:
            print(f"Sentences: the centre of the images is not known. {error}")
            return torch.zeros(trainer.backbone.embed_dim, dtype=torch.double)
    centre = trainer.support_centre()
    return torch.zeros(trainer.backbone.embed_dim, dtype=torch.double) if centre is None else centre.double().cpu()
