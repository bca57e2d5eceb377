"""Say who wrote the sentences of a bank: which model, when, and asked what."""

from pathlib import Path
from typing import NamedTuple

from dassl.names import check_name
from dassl.reading import read_json
from datasets.prompts import bank_path

OWN = "own"  # stands for the LLM of sentences that lie beside a user's images and name none
LONGEST_INSTRUCTION = 2000  # characters


class Provenance(NamedTuple):
    """The origin of the sentences of a bank; None where the bank does not say.

    Attributes:
        llm: name of the bank, which is that of its folder; of sentences beside the images, "own" or what they say.
        model: that wrote the sentences.
        date: on which they were written.
        instruction: that the model was given, with [CLASS] and [MODALITY] in place of the words for each class.
    """

    llm: str
    model: str | None = None
    date: str | None = None
    instruction: str | None = None

    def __str__(self) -> str:
        told = ", ".join(filter(None, (self.model, self.date)))
        return f"{self.llm} ({told})" if told else self.llm


def read_provenance(dataset: str, llm: str, bank: str | Path | None = None) -> Provenance:
    """Return who wrote the sentences that `load_prompts` reads with the same arguments.

    A file that holds the sentences of each class alone, without the key "prompts", says nothing of its origin.

    Raises:
        UserError: the bank cannot be read, or what it says is no text on one line; names file and key.
    """
    path = Path(bank) if bank else bank_path(check_name(llm, "PROMPTS.LLM", "the settings"), dataset)
    found = read_json(path)
    told = found if isinstance(found, dict) and isinstance(found.get("prompts"), dict) else {}
    limits = {"llm": {}, "model": {}, "date": {}, "instruction": {"longest": LONGEST_INSTRUCTION}}
    known = {
        key: check_name(told[key], key, str(path), **limit)
        for key, limit in limits.items()
        if told.get(key) is not None
    }
    return Provenance(**{**known, "llm": known.get("llm", OWN) if bank else llm})
