"""Prompt banks: what LLMs wrote about the classes, `<llm>/<dataset>.json`."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from dassl.errors import UserError
from dassl.utils import read_json

FOLDER = Path(__file__).parent


def load_prompts(
    dataset: str, llm: str, classnames: Sequence[str], n: int, bank: str | Path | None = None
) -> list[list[str]]:
    """The first `n` sentences of each class.

    Args:
        dataset: key of the data set, such as "btmri".
        llm: whose bank: a folder of datasets/prompts/.
        classnames: C names.
        n: sentences per class.
        bank: file to read instead.

    Returns:
        C lists of `n` sentences.

    Raises:
        UserError: there is no such bank; lists those that exist.
        UserError: it is no such JSON, a class is not in it, or has fewer than `n` sentences.
    """
    path = Path(bank) if bank else FOLDER / llm / f"{dataset}.json"
    if not path.is_file():
        found = ", ".join(sorted(f"{p.parent.name}/{p.stem}" for p in FOLDER.glob("*/*.json")))
        raise UserError(
            f'Expected prompts by "{llm}" for {dataset} in {path}, but there are none; the banks are: {found}. Choose '
            "one of them (PROMPTS.LLM), or write yours there (for folders of images: prompts.json beside the classes)."
        )
    prompts = read_json(path).get("prompts")
    if prompts is None:
        raise UserError(
            f'Expected {{"prompts": {{class: [sentence, ...]}}}} in {path}, but it has no "prompts": add it.'
        )
    for name in classnames:
        if name not in prompts:
            raise UserError(f'Expected prompts for "{name}" in {path}, but it has only those for {", ".join(prompts)}.')
        if len(prompts[name]) < n:
            raise UserError(
                f'Expected {n} prompts for "{name}" in {path}, but it has {len(prompts[name])}: set N_PROMPTS to at '
                f"most {min(len(prompts[c]) for c in classnames)}, or add sentences."
            )
        repeated = n - len(set(prompts[name][:n]))
        if repeated:
            warnings.warn(
                f'{repeated} of the {n} prompts for "{name}" in {path} are repeats: they raise kappa_L.', stacklevel=2
            )
    return [prompts[name][:n] for name in classnames]
