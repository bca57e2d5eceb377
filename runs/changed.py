"""The settings of a run that are not those of its yaml files: in words, as options, and in its folder's name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from dassl.literals import BOOLEANS, literal

MARK = "__"  # begins the part of a folder's name that says what was changed
LONGEST = 80  # characters of that part
WORDS = 160  # characters of the words in the name of a row
CUT = "settings"  # key of changes whose folder does not name them in full
ENDS_IN_DIGEST = re.compile(r"-[0-9a-f]{8}$")
SAFE = re.compile(r"[\w.+-]+", re.ASCII)  # of a value in the name of a folder
OF_TRAINING = ("OPTIM.", "DATALOADER.TRAIN_X.")  # sections that a method without epochs does not read


def short_key(key: str) -> str:
    """Return a key without the node of its method.

    >>> short_key("TRAINER.VMFCOOP.LAMBDA_ANC"), short_key("OPTIM.LR")
    ('LAMBDA_ANC', 'OPTIM.LR')
    """
    return key.split(".", 2)[2] if key.startswith("TRAINER.") and key.count(".") > 1 else key


def value_text(value: Any) -> str:
    """Return a value as it is given on a command line; 10.0 is 10.

    >>> value_text(10.0), value_text(0.1), value_text((1, 2)), value_text("gpt4")
    ('10', '0.1', '[1, 2]', 'gpt4')
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if value == "":
        return "''"
    return str(list(value) if isinstance(value, tuple) else value)


def in_words(changed: Mapping[str, Any]) -> str:
    """Return changed settings as the rows of tables name them; what is long is cut, and ends in a digest.

    >>> in_words({"TRAINER.VMFCOOP.LAMBDA_ANC": 10.0, "OPTIM.MAX_EPOCH": 3})
    'LAMBDA_ANC 10, OPTIM.MAX_EPOCH 3'
    """
    text = ", ".join(f"{short_key(key)} {value_text(value)}" for key, value in sorted(changed.items(), key=_order))
    return text if len(text) <= WORDS else f"{text[:WORDS]}... {_digest(text)}"


def as_options(changed: Mapping[str, Any]) -> list[str]:
    """Return changed settings as the words KEY VALUE KEY VALUE of a command line."""
    return [word for key, value in sorted(changed.items(), key=_order) for word in (key, value_text(value))]


def folder_part(changed: Mapping[str, Any]) -> str:
    """Return the end of the name of a run's folder, "" if nothing was changed.

    What is long, or has letters that a folder's name should not have, is cut and ends in a digest of the whole.

    >>> folder_part({"TRAINER.VMFCOOP.LAMBDA_ANC": 10.0, "OPTIM.MAX_EPOCH": 3})
    '__LAMBDA_ANC=10,OPTIM.MAX_EPOCH=3'
    """
    if not changed:
        return ""
    pairs = [(short_key(key), value_text(value)) for key, value in sorted(changed.items(), key=_order)]
    text = ",".join(f"{key}={value}" for key, value in pairs)
    whole = len(text) <= LONGEST and MARK not in text and not ENDS_IN_DIGEST.search(text)
    if whole and all(SAFE.fullmatch(value) for _, value in pairs):
        return MARK + text
    return f"{MARK}{safe(text)[: LONGEST - 9]}-{_digest(repr(pairs))}"


def safe(text: str) -> str:
    """Return a text with a dash for each part that the name of a folder should not have."""
    return re.sub(r"_{2,}", "_", re.sub(r"[^\w.+=,-]+", "-", text, flags=re.ASCII))


def split_folder(name: str) -> tuple[str, str]:
    """Return the two parts of the name of the folder above the seeds: the second says what was changed.

    >>> split_folder("nctx4_cscFalse_ctpend_claude__LAMBDA_ANC=10")
    ('nctx4_cscFalse_ctpend_claude', 'LAMBDA_ANC=10')
    """
    first, mark, rest = name.rpartition(MARK)
    return (first, rest) if mark and "=" in rest else (name, "")


def of_folder(part: str, trainer: str) -> dict[str, Any]:
    """Return what the second part of a folder's name says was changed; under the key CUT what was cut there.

    >>> of_folder("LAMBDA_ANC=10,OPTIM.MAX_EPOCH=3", "vMFCoOp")
    {'TRAINER.VMFCOOP.LAMBDA_ANC': '10', 'OPTIM.MAX_EPOCH': '3'}
    """
    pairs = [pair.partition("=") for pair in part.split(",")]
    if not all(mark for _, mark, _ in pairs) or ENDS_IN_DIGEST.search(part):
        return {CUT: part}
    return {key if "." in key else f"TRAINER.{trainer.upper()}.{key}": value for key, _, value in pairs}


def equal(one: Any, other: Any) -> bool:
    """Return whether two values are the same setting: the word "10" is the number 10.0.

    >>> equal("10", 10.0), equal("[1, 2]", (1, 2)), equal("false", False), equal("5", [5]), equal("a", "b")
    (True, True, True, True, False)
    """
    one, other = _meant(one), _meant(other)
    if isinstance(one, (list, tuple)) or isinstance(other, (list, tuple)):
        first, second = (list(each) if isinstance(each, (list, tuple)) else [each] for each in (one, other))
        return len(first) == len(second) and all(map(equal, first, second))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def yaml_keys(values: Any, prefix: str = "") -> Iterator[str]:
    """Yield the keys of the content of a yaml file, such as "OPTIM.LR".

    >>> list(yaml_keys({"OPTIM": {"LR": 0.1, "NAME": "sgd"}}))
    ['OPTIM.LR', 'OPTIM.NAME']
    """
    for key, value in values.items() if isinstance(values, Mapping) else ():
        yield from yaml_keys(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}"]


def made_with(options: Sequence[tuple[str, Any]], changed: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Return whether a run is what these options, given to several methods, make of its method.

    An option does not count for a method that does not have it, that has this value anyway, or that learns in no
    epochs and so passes over what is of training.

    Args:
        options: pairs of key and value, as a command line gives them.
        changed: what was changed in the run.
        settings: all settings of the run that change its numbers.
    """
    asked = dict(options)
    if not all(key in asked and equal(asked[key], value) for key, value in changed.items()):
        return False
    left = {key: value for key, value in asked.items() if key not in changed and key in settings}
    return all(equal(value, settings[key]) or passes_over(key, settings) for key, value in left.items())


def passes_over(key: str, settings: Mapping[str, Any]) -> bool:
    """Return whether a method with these settings passes over an option: it has no epochs, and this is of training.

    >>> passes_over("OPTIM.LR", {"OPTIM.MAX_EPOCH": 0}), passes_over("OPTIM.LR", {"OPTIM.MAX_EPOCH": 100})
    (True, False)
    """
    return settings.get("OPTIM.MAX_EPOCH") == 0 and key.startswith(OF_TRAINING)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _order(pair: tuple[str, Any]) -> tuple[bool, str]:
    return not pair[0].startswith("TRAINER."), pair[0]


def _meant(value: Any) -> Any:
    """Return what a word of a command line means as a setting; other values as they are."""
    return BOOLEANS.get(value.lower(), literal(value)) if isinstance(value, str) else value
