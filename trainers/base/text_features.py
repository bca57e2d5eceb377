"""Features of texts about the classes, which come from a template or from a large language model (LLM)."""

from torch import Tensor
from torch.nn.functional import normalize

from clip import Backbone
from dassl.console import tell
from dassl.errors import UserError
from datasets.prompts import load_prompts
from datasets.prompts.provenance import read_provenance
from trainers.base.digests import digest
from trainers.base.feature_trainer import FeatureTrainer

TEMPLATE = "a photo of a {}."


def template_features(trainer: FeatureTrainer, classnames: list[str], template: str = TEMPLATE) -> Tensor:
    """Return the text features [C, D], unit norm, of a template filled with each class name.

    Args:
        trainer: supplies the feature store and the device.
        classnames: C names; "_" is replaced by a space.
        template: a text with {} in place of the class name.

    Raises:
        UserError: the template has no {}.
    """
    if "{}" not in template:
        raise UserError(
            f"Expected {{}} for the class name in the template (setting TEMPLATE), but got {template!r}: write it "
            "there."
        )
    prompts = [template.replace("{}", name.replace("_", " ")) for name in classnames]
    return trainer.store.texts(prompts).to(trainer.device)


def llm_features(trainer: FeatureTrainer, n_prompts: int) -> Tensor:
    """Return the text features [C, n_prompts, D], unit norm, of the prompts of the LLM `cfg.PROMPTS.LLM`.

    It sets `trainer.sentences` and `trainer.provenance`, and prints one line.

    Raises:
        UserError: there are fewer prompts, or a prompt is too long for the text tower.
    """
    if n_prompts in trainer.read:  # by another part of the method
        return trainer.read[n_prompts]
    dataset, llm = trainer.dm.dataset, trainer.cfg.PROMPTS.LLM
    prompts = load_prompts(dataset.key, llm, dataset.classnames, n_prompts, bank=dataset.prompt_bank)
    trainer.sentences = n_prompts, digest(prompts)
    trainer.provenance = told = read_provenance(dataset.key, llm, bank=dataset.prompt_bank)
    beside = f"from {bank.name} beside the images" if (bank := dataset.prompt_bank) else ""
    by = f"by {told}" if told.model or not bank else ""
    tell(f"LLM prompts: {n_prompts} per class, {', '.join(filter(None, (beside, by)))}")
    sentences = [text for texts in prompts for text in texts]
    check_lengths(trainer.backbone, sentences, trainer.cfg.PROMPTS.TOO_LONG)
    features = trainer.store.texts(sentences)
    trainer.read[n_prompts] = features.view(len(prompts), n_prompts, -1).to(trainer.device)
    return trainer.read[n_prompts]


def check_lengths(backbone: Backbone, sentences: list[str], too_long: str) -> None:
    """Check that no sentence is longer than the context of the text tower, whose tokenizer would cut it.

    Args:
        backbone: supplies the tokenizer and the length of the context.
        sentences: any number of texts.
        too_long: "error", or "cut" to print in one line how many sentences are cut.

    Raises:
        UserError: a sentence is too long and `too_long` is "error", or `too_long` has another value.
    """
    if too_long not in ("error", "cut"):
        raise UserError(f'Expected PROMPTS.TOO_LONG to be "error" or "cut", but got "{too_long}": choose one of them.')
    most, special = backbone.context_length, int(backbone.lengths([""]))
    full = (backbone.lengths(sentences) >= most).tolist()
    longer = {}
    for text in (text for text, is_full in zip(sentences, full, strict=True) if is_full):
        # Count word by word, because the tokens of the whole are cut. A sentence of just this length is not too long.
        count = int((backbone.lengths(text.split()) - special).sum()) + special
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
    tell(f"Sentences are cut after the {most} tokens that {backbone.name} reads: {found}")


def ensemble(prompts: Tensor) -> Tensor:
    """Return the mean directions [C, D], unit norm, of prompt features [C, n, D].

    >>> import torch
    >>> ensemble(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))
    tensor([[0.7071, 0.7071]])
    """
    return normalize(prompts.mean(dim=1), dim=-1)


def typical(scores: Tensor, tau: float) -> Tensor:
    """Return a mask [n] of the scores [n] that lie at most `tau` standard deviations from their mean.

    BiomedCoOp computes z = (s - median) / MAD and then standardises z, where median and MAD cancel. Without them, a MAD
    of zero needs no special case.

    >>> import torch
    >>> typical(torch.tensor([0.30, 0.31, 0.29, 0.30, 0.90]), tau=1.5)
    tensor([ True,  True,  True,  True, False])
    """
    spread = scores.std() if len(scores) > 1 else scores.new_zeros(())
    return (scores - scores.mean()).abs() <= tau * spread


def selective_ensemble(images: Tensor, prompts: Tensor, tau: float) -> Tensor:
    """Return BiomedCoOp's pruned ensemble: the mean directions [C, D] of the prompts that are no outliers.

    The j-th prompts of all classes share one score: the mean over the images of the highest cosine among the classes.
    Prompts whose score is not `typical` are left out. No labels are used.

    Args:
        images: image features [B, D], unit norm.
        prompts: features [C, n, D] of the LLM's prompts, unit norm.
        tau: outlier threshold, in standard deviations.
    """
    scores = (images @ prompts.transpose(0, 1).mT).amax(dim=-1).mean(dim=-1)
    return ensemble(prompts[:, typical(scores, tau)])
