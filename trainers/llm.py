"""What a large language model wrote about the classes, as features of the frozen text tower."""

from torch import Tensor
from torch.nn.functional import normalize

from datasets.prompts import load_prompts
from trainers.digests import digest
from trainers.feature_trainer import FeatureTrainer


def llm_features(trainer: FeatureTrainer, n_prompts: int) -> Tensor:
    """Features [C, n_prompts, D] (unit norm) of what the LLM `cfg.PROMPTS.LLM` wrote about each class."""
    dataset, llm = trainer.dm.dataset, trainer.cfg.PROMPTS.LLM
    prompts = load_prompts(dataset.key, llm, dataset.classnames, n_prompts, bank=dataset.prompt_bank)
    trainer.sentences = n_prompts, digest(prompts)
    print(f"LLM prompts: {n_prompts} per class, by {llm}")
    features = trainer.store.texts([text for texts in prompts for text in texts])
    return features.view(len(prompts), n_prompts, -1).to(trainer.device)


def ensemble(prompts: Tensor) -> Tensor:
    """Mean directions [C, D] of prompt features [C, n, D]."""
    return normalize(prompts.mean(dim=1), dim=-1)


def typical(scores: Tensor, tau: float) -> Tensor:
    """Mask [n] of the scores [n] that are no outliers: at most `tau` standard deviations from the mean.

    BiomedCoOp takes z = (s - median) / MAD and then standardises z again; median and MAD cancel in that, and here a MAD
    of zero does no harm.
    """
    spread = scores.std() if len(scores) > 1 else scores.new_zeros(())
    return (scores - scores.mean()).abs() <= tau * spread


def selective_ensemble(images: Tensor, prompts: Tensor, tau: float) -> Tensor:
    """BiomedCoOp's pruned ensemble [C, D] of prompt features [C, n, D].

    The j-th prompts of all classes are scored together, by the mean over the images [B, D] of the best cosine among the
    classes; those whose score is an outlier are left out. No label is looked at.
    """
    scores = (images @ prompts.transpose(0, 1).mT).amax(dim=-1).mean(dim=-1)
    return ensemble(prompts[:, typical(scores, tau)])
