"""Texts about the classes, by a template or by a large language model, as features of the frozen text tower."""

from torch import Tensor
from torch.nn.functional import normalize

from clip import Backbone
from dassl.errors import UserError
from datasets.prompts import load_prompts
from trainers.base.digests import digest
from trainers.base.feature_trainer import FeatureTrainer

TEMPLATE = "a photo of a {}."


def template_features(trainer: FeatureTrainer, classnames: list[str], template: str = TEMPLATE) -> Tensor:
    """Return the features [C, D] (unit norm) of `template` with each class name in place of `{}`.

    A "_" in a class name reads as a space.

    Raises:
        UserError: the template has no place for the name.
    """
    if "{}" not in template:
        raise UserError(f"Expected {{}} for the class name in TEMPLATE, but got {template!r}: write it there.")
    prompts = [template.replace("{}", name.replace("_", " ")) for name in classnames]
    return trainer.store.texts(prompts).to(trainer.device)


def llm_features(trainer: FeatureTrainer, n_prompts: int) -> Tensor:
    """Return the features [C, n_prompts, D] (unit norm) of the sentences that `cfg.PROMPTS.LLM` wrote per class."""
    dataset, llm = trainer.dm.dataset, trainer.cfg.PROMPTS.LLM
    prompts = load_prompts(dataset.key, llm, dataset.classnames, n_prompts, bank=dataset.prompt_bank)
    trainer.sentences = n_prompts, digest(prompts)
    print(f"LLM prompts: {n_prompts} per class, by {llm}")
    sentences = [text for texts in prompts for text in texts]
    check_lengths(trainer.backbone, sentences, trainer.cfg.PROMPTS.TOO_LONG)
    features = trainer.store.texts(sentences)
    return features.view(len(prompts), n_prompts, -1).to(trainer.device)


def check_lengths(backbone: Backbone, sentences: list[str], too_long: str) -> None:
    """Check that the text tower reads every sentence to its end.

    Args:
        backbone: its tokenizer cuts texts that are longer than its context.
        sentences: any number of texts.
        too_long: "error", or "cut" to print in one line how many are cut.

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
    """Return the mean directions [C, D] of prompt features [C, n, D].

    >>> ensemble(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))
    tensor([[0.7071, 0.7071]])
    """
    return normalize(prompts.mean(dim=1), dim=-1)


def typical(scores: Tensor, tau: float) -> Tensor:
    """Return a mask [n] of the scores [n] that lie at most `tau` standard deviations from their mean.

    BiomedCoOp computes z = (s - median) / MAD and then standardises z; median and MAD cancel in that. Without them, a
    MAD of zero needs no special case.

    >>> typical(torch.tensor([0.30, 0.31, 0.29, 0.30, 0.90]), tau=1.5)
    tensor([ True,  True,  True,  True, False])
    """
    spread = scores.std() if len(scores) > 1 else scores.new_zeros(())
    return (scores - scores.mean()).abs() <= tau * spread


def selective_ensemble(images: Tensor, prompts: Tensor, tau: float) -> Tensor:
    """Return BiomedCoOp's pruned ensemble [C, D] of prompt features [C, n, D].

    The j-th prompts of all classes get one score: the mean over the images [B, D] of the highest cosine among the
    classes. Prompts whose score is an outlier (`typical`) are left out. Labels are not used.
    """
    scores = (images @ prompts.transpose(0, 1).mT).amax(dim=-1).mean(dim=-1)
    return ensemble(prompts[:, typical(scores, tau)])
