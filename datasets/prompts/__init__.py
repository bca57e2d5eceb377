"""Prompt banks: sentences that LLMs wrote about the classes, `<llm>/<dataset>.json`."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from dassl.errors import UserError
from dassl.names import file_name
from dassl.reading import read_json
from datasets.prompts.shapes import by_class, sentences_of

DEFAULT_LLM = "claude"  # whose sentences are read unless others are asked for
FOLDER = Path(__file__).parent


def load_prompts(
    dataset: str, llm: str, classnames: Sequence[str], n: int, bank: str | Path | None = None
) -> list[list[str]]:
    """Return the first `n` sentences of each class.

    Args:
        dataset: key of the data set, such as "btmri".
        llm: name of the LLM, which is that of a folder of datasets/prompts/.
        classnames: C names.
        n: sentences per class.
        bank: file to read instead: {"prompts": {class: [sentence, ...]}}, or the inner object alone, as in BiomedCoOp;
            a class may have one sentence instead of a list.

    Returns:
        C lists of `n` sentences.

    Raises:
        UserError: there is no such bank; lists those that exist.
        UserError: it is no such JSON, or a class is missing or has fewer than `n` sentences.
        UserError: a sentence is empty, or cannot be read by a tokenizer; see `shapes.why_not`.
    """
    path = Path(bank) if bank else bank_path(llm, dataset)
    prompts = read_bank(path, llm, dataset, classnames)
    for name, texts in prompts.items():
        if len(texts) < n:
            raise UserError(
                f'Expected {n} prompts for "{name}" in {path}, but it has {len(texts)}: set N_PROMPTS to at '
                f"most {min(map(len, prompts.values()))}, or add sentences."
            )
        repeated = n - len(set(texts[:n]))
        if repeated:
            warnings.warn(
                f'{repeated} of the {n} prompts for "{name}" in {path} are repeats: they raise kappa_L.', stacklevel=2
            )
    return [prompts[name][:n] for name in classnames]


def count_prompts(dataset: str, llm: str, classnames: Sequence[str]) -> int:
    """Return how many sentences the class with the fewest has in the bank of an LLM; raises as `load_prompts`."""
    return min(map(len, read_bank(bank_path(llm, dataset), llm, dataset, classnames).values()))


def read_bank(path: Path, llm: str, dataset: str, classnames: Sequence[str]) -> dict[str, list[str]]:
    """Return all sentences of each class in a file; raises as `load_prompts`, which has the other arguments."""
    require_bank(path, llm, dataset)
    held = by_class(read_json(path), path)
    if absent := [name for name in classnames if name not in held]:
        raise UserError(
            f'Expected prompts for "{absent[0]}" in {path}, but it has only those for {", ".join(held)}: add them.'
        )
    return {name: sentences_of(name, held[name], path) for name in classnames}


def require_bank(path: Path, llm: str, dataset: str, beside: Path | None = None) -> None:
    """Raise a UserError that lists the banks there are, unless one is at `path`.

    Args:
        path: of the bank.
        llm: whose sentences it would hold.
        dataset: key of the data set.
        beside: where sentences about a user's own images lie.
    """
    if beside and not path.is_file():
        raise UserError(
            f"Expected sentences about the classes of {dataset} in {beside}, but there is no such file: write it, as "
            "DATASETS.md shows (`python -m datasets.prompts.generate` asks a model), or take a method that reads none."
        )
    if not path.is_file():
        found = ", ".join(sorted(f"{p.parent.name}/{p.stem}" for p in FOLDER.glob(f"*/{path.name}")))
        choose = f"; the banks are: {found}. Choose one of them (PROMPTS.LLM), or write" if found else ": write"
        raise UserError(
            f'Expected prompts by "{llm}" for {dataset} in {path}, but there are none{choose} yours there; '
            "`python -m datasets.prompts.generate` asks a model."
        )


def bank_path(llm: str, dataset: str) -> Path:
    """Return the file of a bank, which is in `FOLDER` whatever the names are."""
    return FOLDER / file_name(llm) / f"{file_name(dataset)}.json"
