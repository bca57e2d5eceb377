"""Ask a chat model for the sentences of a data set, with the paper's instruction.

    OPENAI_API_KEY=... python -m datasets.prompts.generate --dataset btmri --model gpt-4o --n 50
    python -m datasets.prompts.generate --dataset btmri --model llama3.3 --base-url http://localhost:11434/v1

    python -m datasets.prompts.generate --folder data/pathmnist --modality "histopathology of the colon" --model gpt-4o

Any server with OpenAI's chat API will do. Each answer is checked and written to the bank as it comes, and the model is
asked again for what is missing. A bank that exists is completed: repeat the command after an interruption. The bank is
datasets/prompts/<llm>/<dataset>.json, which a run reads with PROMPTS.LLM <llm>, or prompts.json in a folder of images.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dassl.console import printable
from dassl.errors import UserError, command
from dassl.names import file_name
from dassl.reading import read_json
from dassl.writing import write_json
from datasets import prompts
from datasets.base import BiomedDataset
from datasets.catalogue import by_key, find_class
from datasets.load import configure
from datasets.own import choose_key, without_writing
from datasets.prompts.answers import LONGEST, find_sentences, keep_new, keep_usable
from datasets.prompts.shapes import by_class, sentences_of

# The paper's, after BiomedCoOp; [N], [CLASS] and [MODALITY] are filled in for each class.
INSTRUCTION = (
    "Give [N] textual descriptions of visual discriminative features for distinct medical cases of [CLASS] found in "
    "[MODALITY]."
)
FORM = "Write one full sentence per line, without numbers, headings or remarks of your own."
AGAIN = "None of them may repeat or merely reword one of these:"
PATIENCE = 3  # answers in a row without a new sentence
LONGEST_ANSWER = 1_000_000  # characters that are read


class Answer(NamedTuple):
    """The answer of a model.

    Attributes:
        text: what it wrote.
        cut: whether it was cut short.
        by: full name of the model, as the server has it.
    """

    text: str
    cut: bool
    by: str


Ask = Callable[[str], Answer]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = p.add_mutually_exclusive_group(required=True)
    which.add_argument("--dataset", choices=sorted(by_key()), metavar="KEY", help="such as btmri")
    which.add_argument("--folder", type=Path, help="of your own images: one folder per class, or images and a table")
    p.add_argument("--modality", default="", help='what the images of --folder are, such as "X-ray of the chest"')
    p.add_argument("--model", required=True, help="name of the model, as its server calls it")
    p.add_argument("--n", type=int, default=50, help="sentences per class (default: 50)")
    p.add_argument("--llm", default="", help="name of the bank and its folder (default: after the model)")
    p.add_argument("--base-url", default=None, help="of the server (default: OPENAI_BASE_URL, or else OpenAI's own)")
    p.add_argument("--timeout", type=float, default=120, help="seconds to wait for an answer (default: 120)")
    return p


class Subject(NamedTuple):
    """The subject of a bank of sentences.

    Attributes:
        name: of the data set.
        classes: names of the classes.
        modality: of the images, in words.
    """

    name: str
    classes: Sequence[str]
    modality: str


def read_folder(folder: Path, modality: str) -> Subject:
    """Return the name and classes of a folder of images as a run reads it; nothing is written there.

    Raises:
        UserError: as a run does.
    """
    key = choose_key(folder)
    dataset = without_writing(find_class(key))(configure(key, folder))
    return Subject(dataset.key, dataset.classnames, modality)


def describe_modality(cls: type[BiomedDataset]) -> str:
    """Return in words what the images are: "MRI of the brain"."""
    return cls.modality if cls.organ in cls.modality else f"{cls.modality} of the {cls.organ}"


def chat(model: str, base_url: str | None, timeout: float) -> Ask:
    """Return a function that asks the model one question; the client repeats it after time-outs and passing errors.

    Args:
        model: name, as its server has it.
        base_url: of the server; None for OPENAI_BASE_URL, or else OpenAI's own.
        timeout: seconds to wait for an answer.

    Raises:
        UserError: the client or the key is missing.
    """
    try:
        import openai
    except ImportError as error:
        raise UserError(f"Expected the package openai, but {error}: pip install 'openai>=1.30'.") from error
    key, base_url = os.environ.get("OPENAI_API_KEY"), base_url or os.environ.get("OPENAI_BASE_URL")
    if not (key or base_url):
        raise UserError(
            "Expected a key in the environment variable OPENAI_API_KEY, but there is none: set it, or name a server "
            "that needs none by --base-url."
        )
    client = openai.OpenAI(api_key=key or "none", base_url=base_url, timeout=timeout, max_retries=5)
    server, secrets = without_secrets(str(client.base_url))

    def ask(text: str) -> Answer:
        try:
            reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
            choice = reply.choices[0]
            message = choice.message.content or getattr(choice.message, "refusal", "") or ""
            by, cut = str(reply.model or model), choice.finish_reason in ("length", "content_filter")
        except openai.OpenAIError as error:
            said = " ".join(str(error).split())
            for secret in (*secrets, key):
                said = said.replace(secret, "...") if secret else said
            raise UserError(
                f"Expected an answer of {model} from {server}, but got {said}: look to OPENAI_API_KEY, --model and "
                "--base-url, and run again; what was answered before is kept."
            ) from None  # its own words may hold the address with its password
        except (AttributeError, IndexError, TypeError, ValueError):  # a page or a scrap in place of the API's JSON
            return Answer("", False, "")
        if not isinstance(message, str):
            return Answer("", False, "")
        if len(message) > LONGEST_ANSWER:
            print(f"An answer of {len(message):,} characters is looked at up to {LONGEST_ANSWER:,}")
        return Answer(message[:LONGEST_ANSWER], cut or len(message) > LONGEST_ANSWER, printable(by[:100]))

    return ask


def without_secrets(url: str) -> tuple[str, list[str]]:
    """Return an address without user, password, query and fragment, and these parts of it.

    >>> without_secrets("https://me:key@host:8000/v1?token=x")
    ('https://host:8000/v1', ['me:key', 'key', 'token=x'])
    """
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    secrets = [user, user.partition(":")[2], parts.query, parts.fragment]
    return parts._replace(netloc=host, query="", fragment="").geturl(), [secret for secret in secrets if secret]


class Bank:
    """A file of sentences of each class, with where they come from.

    Args:
        path: of the file; a bank that is there is completed.
        subject: what the sentences are about.
        model: that writes them.
        n: sentences per class.
        llm: name of the bank; by default that of its folder.

    Raises:
        UserError: the file is by another model, or for other classes.
    """

    def __init__(self, path: Path, subject: Subject, model: str, n: int, llm: str = ""):
        self.path, self.n = path, n
        found = read_json(path) if path.is_file() else {"model": model, "prompts": {}}
        held = by_class(found, path)
        if found.get("model") != model or not held.keys() <= set(subject.classes):
            raise UserError(
                f'Expected {path} to be by the model "{model}" for classes of {subject.name}, but it is by '
                f'"{found.get("model", "unknown")}" for {", ".join(held)}: move it away, or choose another '
                "folder by --llm."
            )
        self.prompts = {name: sentences_of(name, held.get(name, []), path) for name in subject.classes}
        self.modality = subject.modality
        self.head: dict[str, str | list[str]] = {
            "llm": llm or path.parent.name,
            "dataset": subject.name,
            "modality": subject.modality,
            "model": model,
            "answered_by": _names(found.get("answered_by", [])),
            "instruction": INSTRUCTION.replace("[N]", str(n)),
            "form": FORM,
        }

    def question(self, name: str) -> str:
        """Return the question about a class that lacks sentences."""
        known = self.prompts[name]
        asked = INSTRUCTION.replace("[N]", str(self.n - len(known)))
        asked = asked.replace("[CLASS]", name).replace("[MODALITY]", self.modality)
        return "\n".join([f"{asked} {FORM}", *([AGAIN, *known] if known else [])])

    def add(self, name: str, answer: Answer) -> bool:
        """Add the sentences of an answer that no class has yet, write the file, and return whether there were any."""
        known = [text for texts in self.prompts.values() for text in texts]
        found = find_sentences(answer.text, answer.cut)
        usable = keep_usable(found)
        if len(usable) < len(found):
            print(
                f"{name}: {len(found) - len(usable)} of {len(found)} sentences are left out: longer than {LONGEST} "
                "characters, with words no tokenizer is made for, or not printable"
            )
        new = keep_new(usable, known)[: self.n - len(self.prompts[name])]
        if new:
            self.prompts[name] += new
            self.head["answered_by"] = sorted({*self.head["answered_by"], answer.by})
            held = {name: texts for name, texts in self.prompts.items() if texts}
            write_json({**self.head, "date": date.today().isoformat(), "prompts": held}, self.path)
        return bool(new)


def _names(value: Any) -> list[str]:
    """Return a list of names from a file; [] for anything else."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def generate(bank: Bank, ask: Ask) -> None:
    """Ask until every class of the bank has its sentences.

    Raises:
        UserError: the model gave too few sentences of a class; all that it gave are written.
    """
    lacking = []
    for name, texts in bank.prompts.items():
        fruitless, answer = 0, Answer("", False, "")
        while len(texts) < bank.n and fruitless < PATIENCE:
            answer = ask(bank.question(name))
            fruitless = 0 if bank.add(name, answer) else fruitless + 1
            print(f"{name}: {len(texts)} of {bank.n}")
        if len(texts) < bank.n:
            lacking.append(f'{len(texts)} of "{name}" (last answer: "{" ".join(answer.text.split())[:80]}")')
    if lacking:
        raise UserError(
            f"Expected {bank.n} different sentences of each class, but got {', '.join(lacking)}: run again to ask for "
            f"the rest, or add them to {bank.path}."
        )


@command
def main(argv: list[str] | None = None) -> int:
    """Make or complete the bank that the command line names."""
    cli = parser()
    args = cli.parse_args(argv)
    if args.n < 1:
        cli.error(f"expected --n of at least 1, but got {args.n}")
    if args.folder and not (args.modality and args.modality.isprintable()):
        cli.error("expected --modality, the words for what the images of --folder are")
    if args.folder:
        subject, llm = read_folder(args.folder, args.modality), file_name(args.llm or args.model)
        bank = Bank(args.folder / "prompts.json", subject, args.model, args.n, llm)
    else:
        cls = by_key()[args.dataset]
        subject = Subject(cls.__name__, cls.classes, describe_modality(cls))
        bank = Bank(prompts.bank_path(args.llm or args.model, args.dataset), subject, args.model, args.n)
    generate(bank, chat(args.model, args.base_url, args.timeout))
    print(f"Complete: {bank.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
