"""Import BiomedCoOp's own sentences (by GPT-4) as the bank `gpt4`, from a checkout of its repository.

    git clone https://github.com/HealthX-Lab/BiomedCoOp
    python -m datasets.prompts.import_biomedcoop BiomedCoOp

Their file is read as data and never run. Nothing is changed or left out: repeats are reported, and stay, so that a run
with PROMPTS.LLM gpt4 has what BiomedCoOp has. The sentences are theirs, and are not part of this repository.
"""

import argparse
import ast
import hashlib
import sys
from pathlib import Path

from dassl.errors import UserError, command
from dassl.reading import read_bytes, read_json
from dassl.writing import write_json
from datasets import prompts
from datasets.catalogue import by_key
from datasets.prompts.shapes import by_class

LLM = "gpt4"
MODEL = "GPT-4"  # as their paper says; neither version nor date
FILE = Path("trainers", "prompt_templates.py")
VARIABLE = "BIOMEDCOOP_TEMPLATES"


def read_templates(path: Path) -> dict[str, list[str]]:
    """Return the sentences of each class in a Python file, which is parsed and not run.

    Raises:
        UserError: there is no such file, or it assigns no such dictionary of lists of strings.
    """
    if not path.is_file():
        raise UserError(f"Expected BiomedCoOp's {FILE}, but there is no {path}: give the root of its checkout.")
    source = read_bytes(path)
    expected = f"Expected {VARIABLE} = {{class: [sentence, ...]}} in {path}"
    try:
        found = {
            target.id: node.value
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        templates = ast.literal_eval(found[VARIABLE])
    except KeyError as error:
        raise UserError(f"{expected}, but it assigns no such name: take another version of it.") from error
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(f"{expected}, but it is not plain data ({error}): take another version of it.") from error
    lists = templates.values() if isinstance(templates, dict) else [None]
    if not all(isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in lists):
        raise UserError(f"{expected}, but it holds something else: take another version of it.")
    return templates


def import_banks(checkout: Path, folder: Path) -> None:
    """Write a bank for each data set that has all its classes there, and print what was found.

    Raises:
        UserError: the file cannot be used (see `read_templates`), or there is another bank already.
    """
    path = checkout / FILE
    templates = read_templates(path)
    source = {"file": f"BiomedCoOp/{FILE.as_posix()}", "sha256": hashlib.sha256(read_bytes(path)).hexdigest()}
    for key, cls in by_key().items():
        absent = [name for name in cls.classes if name not in templates]
        if absent:
            print(f'{key}: left out, "{absent[0]}" is not among their classes')
            continue
        prompts_of = {name: templates[name] for name in cls.classes}
        bank = {"llm": LLM, "dataset": cls.__name__, "model": MODEL, "source": source, "prompts": prompts_of}
        target = folder / f"{key}.json"
        if target.is_file() and by_class(read_json(target), target) != prompts_of:
            raise UserError(f"Expected no bank or this one in {target}, but it has another: move it away.")
        write_json(bank, target)
        print(f"{key}: {target}{describe_repeats(prompts_of)}")


def describe_repeats(sentences: dict[str, list[str]]) -> str:
    """Return in words which classes have sentences more than once; "" if none has."""
    counts = {name: (len(set(texts)), len(texts)) for name, texts in sentences.items()}
    told = [
        f"{name} has {different} different of {all_}" for name, (different, all_) in counts.items() if different < all_
    ]
    return f"; repeats: {', '.join(told)}" if told else ""


@command
def main(argv: list[str] | None = None) -> int:
    """Import the banks of the checkout that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="root of a checkout of BiomedCoOp")
    args = parser.parse_args(argv)
    import_banks(args.checkout, prompts.FOLDER / LLM)
    return 0


if __name__ == "__main__":
    sys.exit(main())
