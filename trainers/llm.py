"""What a large language model wrote about the classes, as features of the frozen text tower."""

from torch import Tensor
from torch.nn.functional import normalize

from clip import Backbone
from dassl.errors import UserError
from datasets.prompts import load_prompts
from trainers.digests import digest
from trainers.feature_trainer import FeatureTrainer


def llm_features(trainer: FeatureTrainer, n_prompts: int) -> Tensor:
    """Features [C, n_prompts, D] (unit norm) of what the LLM `cfg.PROMPTS.LLM` wrote about each class."""
    dataset, llm = trainer.dm.dataset, trainer.cfg.PROMPTS.LLM
    prompts = load_prompts(dataset.key, llm, dataset.classnames, n_prompts, bank=dataset.prompt_bank)
    trainer.sentences = n_prompts, digest(prompts)
    print(f"LLM prompts: {n_prompts} per class, by {llm}")
    sentences = [text for texts in prompts for text in texts]
    check_lengths(trainer.backbone, sentences, trainer.cfg.PROMPTS.TOO_LONG)
    features = trainer.store.texts(sentences)
    return features.view(len(prompts), n_prompts, -1).to(trainer.device)


def check_lengths(backbone: Backbone, sentences: list[str], too_long: str) -> None:
    """See that the text tower reads every sentence to its end.

    Args:
        backbone: whose tokenizer cuts what is longer than its context.
        sentences: any number.
        too_long: "error", or "cut" to say in one line how many are cut.

    Raises:
        UserError: a sentence has more tokens than the tower reads; or `too_long` is neither.
    """
    if too_long not in ("error", "cut"):
        raise UserError(f'Expected PROMPTS.TOO_LONG to be "error" or "cut", but got "{too_long}".')
    most, special = backbone.context_length, len(backbone.tokenize([""]).ids[0])
    full = (backbone.tokenize(sentences).mask.sum(dim=1) >= most).tolist()
    longer = {}
    for text in (text for text, is_full in zip(sentences, full, strict=True) if is_full):
        # Word by word, since all of it was cut; a sentence that just fits fills the context as well.
        count = int((backbone.tokenize(text.split()).mask.sum(dim=1) - special).sum()) + special
        if count > most:
            longer[text] = count
    if not longer:
        return
    first, count = next(iter(longer.items()))
    found = f'{len(longer)} of {len(sentences)} are longer, the first is "{first[:60]}..." with {count}'
    if too_long == "error":
        raise UserError(
            f"Expected sentences of at most {most} tokens, which {backbone.name} reads, but {found}: shorten them, or "
            "set PROMPTS.TOO_LONG to cut."
        )
    print(f"Sentences are cut after the {most} tokens that {backbone.name} reads: {found}")


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
