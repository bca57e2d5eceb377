"""What sentences explain with: all that an LLM wrote about the classes of a run, and the centre of its images."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from datasets.prompts import bank_path, read_bank
from datasets.prompts.provenance import read_provenance
from trainers.base.feature_trainer import FeatureTrainer
from trainers.base.text_features import check_lengths


class Bank(NamedTuple):
    """Sentences about C classes. Class c has n_c of them.

    Attributes:
        texts: n_c sentences of each class.
        features: their unit features [n_c, D], of each class.
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
    features = trainer.store.texts(everything).to(trainer.device)
    return Bank(texts, features.split([len(some) for some in texts]), told)


def image_centre(trainer: FeatureTrainer) -> Tensor:
    """Return m_V [D] of a method's support images, float64; zeros, and a line, where it has none."""
    centre = trainer.support_centre()
    if centre is None:
        print("Sentences: no support image is known, so that pictures are not centred")
        return torch.zeros(trainer.backbone.embed_dim, dtype=torch.double, device=trainer.device)
    return centre.double()
