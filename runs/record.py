"""Write and read a run's metrics.json.

The file may come from anyone: its size is limited, and each field is checked for its type and letters.
"""

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

from dassl.errors import UserError
from dassl.names import LONGEST, check_name, shared_name
from dassl.reading import MB, read_text
from dassl.writing import write_json
from runs.methods import PROTOCOLS
from runs.options import PLAIN_KEY

LIMIT = 16 * MB
POINTS = "gap.csv"  # beside it: the points of the picture of the gap
POINTS_HEAD = ("what", "class", "name", "x", "y", "x centred", "y centred")
LARGEST = 10**15  # of any number: beyond it sums are not exact, and no figure is so large
LONGEST_SETTING = 2000  # characters of a text among the settings
MOST_SENTENCES = 10**6  # of a class
VIEWS = ("none", "one", "many")
SUBSAMPLES = ("all", "base", "new")
DIGESTS = {
    "test": "test images",
    "support": "training images",
    "sentences": "sentences",
    "settings": "settings",
    "backbone_files": "files of the backbone",
    "learned": "learned tensors",
}  # those of `Record.hashes` by which runs are compared, in the words of an error
LEARNED_WITH = "learned_settings"  # of `Record.hashes`: of the run that learned what was loaded to be tested
PROMPTS = {"llm": LONGEST, "model": LONGEST, "date": LONGEST, "instruction": 2000}  # and the most characters of each
GAP_NAMES = ("predicted", "largest")  # of classes, in `Record.gap`
GAP_SHARES = ("predicted_share", "largest_share")
GAP_PARTS = ("common", "images", "common_centred", "images_centred")
COMMIT = re.compile(r"[0-9a-f]{7,64}(\+changes)?")
KINDS = {dict: "names and values", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
REMEDY = "delete it and run its script again"


class Record(NamedTuple):
    """The content of a metrics.json.

    Attributes:
        names: values of key, dataset, setting, protocol, trainer, backbone, shots, seed and subsample, as far as the
            file has them. A backbone in a folder is called by the last part of its path.
        metrics: figures in percent; those of classes as `per_class/<class>`.
        method: the method's settings, None where an earlier version left none.
        phantom_images: the images were rendered.
        phantom_backbone: the backbone was trained on rendered images; None if the file does not say.
        spent: seconds of the parts of the run by name, such as "train"; "encode" is what images and texts took that the
            feature store did not have, and counts for no other part.
        hashes: digests of all that the figures depend on.
        versions: of packages.
        sentences_per_class: number of LLM sentences that were read.
        loaded: it tested what an earlier run had learned.
        prompts: who wrote these sentences: "llm", "model", "date" and "instruction", as far as it is known; {} for a
            method that reads none, and for records of earlier versions.
        views: random views of a training image that the method saw: "none", "one" or "many"; None if the file does not
            say.
        revision: commit of the backbone's hub repository; None for a folder.
        tested: number of test images; None if the file does not say.
        gap: between images and texts, as in `trainers.gap`: names of classes and numbers; {} in records of earlier
            versions, and without `GAP_PARTS` for a method that has no directions.
        classes: names of the classes, in the order of their labels.
        settings: the other settings that change numbers, by key; None where an earlier version left none.
        changed: those of all settings, by key, that were not as the yaml files have them.
        commit: of this code, as `runs.revision.commit` has it; None if the file does not say.
        device: its "name", the "precision" of the towers, and the version of "cuda" of a GPU; {} if the file does not
            say.
    """

    names: dict[str, Any]
    metrics: dict[str, float]
    method: dict[str, Any] | None
    phantom_images: bool
    phantom_backbone: bool | None
    spent: dict[str, float]
    hashes: dict[str, str | None]
    versions: dict[str, str | None]
    sentences_per_class: int
    loaded: bool
    prompts: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed
    views: str | None = None
    revision: str | None = None
    tested: int | None = None
    gap: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    classes: tuple[str, ...] = ()
    settings: dict[str, Any] | None = None
    changed: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    commit: str | None = None
    device: dict[str, str | None] = {}  # noqa: RUF012 - replaced, never changed

    def every_setting(self, trainer: str) -> dict[str, Any]:
        """Return all settings that are recorded, by key; those of the method are below the name of its trainer."""
        own = {f"TRAINER.{trainer.upper()}.{key}": value for key, value in (self.method or {}).items()}
        return own | (self.settings or {})

    @property
    def seconds(self) -> float | None:
        """Seconds of all parts together; None if the file says none."""
        return sum(self.spent.values()) or None


def write_record(record: dict[str, Any], folder: Path) -> None:
    """Write a run's metrics.json, atomically: it marks the run as finished."""
    write_json(record, str(folder / "metrics.json"))


def read_record(path: Path) -> Record:
    """Return the content of a run's metrics.json.

    Raises:
        UserError: it cannot be read, is half-written, or has a field of another type; names it.
    """
    text = read_text(path, LIMIT, links=False)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is half-written or no JSON: {REMEDY}.") from error
    where = str(path)
    document = _mapping(document, "a run's result", where)
    if "metrics" not in document:
        raise UserError(f"{path} is half-written or no result of a run: {REMEDY}.")
    spent = _mapping(document.get("seconds", {}), "seconds", where)
    return Record(
        names=_names(document, where),
        metrics=_metrics(document["metrics"], where),
        method=_settings(document, "method", where),
        phantom_images=bool(_flag(document, "phantom", where)),
        phantom_backbone=_flag(document, "phantom_backbone", where),
        spent={check_name(part, "part of seconds", where): number(s, "seconds", where) for part, s in spent.items()},
        hashes=_words(document.get("hashes", {}), "hashes", where),
        versions=_words(document.get("versions", {}), "versions", where),
        sentences_per_class=_sentences(document, where),
        loaded=bool(_flag(document, "loaded", where)),
        prompts=_prompts(document, where),
        views=_one_of(document, "views", VIEWS, where),
        revision=None if (found := document.get("backbone_revision")) is None else check_name(found, "commit", where),
        tested=None if (found := document.get("total")) is None else whole(found, "total", where),
        gap=_gap(document, where),
        classes=tuple(_mapping(document["metrics"].get("per_class", {}), "per_class", where)),
        settings=_settings(document, "settings", where),
        changed=_changed(document, where),
        commit=_commit(document, where),
        device=_words(document.get("device") or {}, "device", where),
    )


def _names(document: dict, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("key", "dataset", "setting", "protocol", "trainer", "backbone", "subsample"):
        if (value := document.get(key)) is not None:
            found[key] = check_name(shared_name(value) if isinstance(value, str) else value, key, where)
    for key in ("shots", "seed"):
        if document.get(key) is not None:
            found[key] = whole(document[key], key, where)
    for key, known in (("subsample", SUBSAMPLES), ("protocol", PROTOCOLS)):
        _one_of(found, key, known, where)
    return found


def _settings(document: dict, field: str, where: str) -> dict[str, Any] | None:
    """Return settings by name: whatever JSON holds, to be compared and shown; None if the field is not there."""
    found = document.get(field)
    if found is None:
        return None
    return {check_name(key, "setting", where): value for key, value in _mapping(found, field, where).items()}


def _changed(document: dict, where: str) -> dict[str, Any]:
    """Return what was changed: plain values and lists of them, since tables name them."""
    found = _settings(document, "changed", where) or {}
    for key, value in found.items():
        if not PLAIN_KEY.fullmatch(key):  # it may be pasted as an option
            raise UserError(
                f"Expected keys of settings such as OPTIM.LR under changed in {where}, but got {key!r}: {REMEDY}."
            )
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and each:
                check_name(each, key, where, LONGEST_SETTING)
            elif isinstance(each, (dict, list)):
                raise _unlike(f"{key} to be a plain value", each, where)
            elif isinstance(each, (int, float)) and not isinstance(each, bool):
                number(each, key, where)
    return found


def _sentences(document: dict, where: str) -> int:
    count = whole(document.get("sentences_per_class", 0), "sentences_per_class", where)
    if 0 <= count < MOST_SENTENCES:
        return count
    raise _unlike(f"sentences_per_class to be less than {MOST_SENTENCES:,}", count, where)


def _one_of(document: dict, key: str, known: tuple[str, ...], where: str) -> str | None:
    found = document.get(key)
    if found is None or found in known:
        return found
    raise _unlike(f"{key} to be one of {', '.join(known)}", found, where)


def _prompts(document: dict, where: str) -> dict[str, str]:
    """Return who wrote the sentences, without what is not known."""
    found = document.get("prompts")
    told = {} if found is None else _mapping(found, "prompts", where)
    return {
        key: check_name(told[key], f"{key} of prompts", where, longest)
        for key, longest in PROMPTS.items()
        if told.get(key) is not None
    }


def _commit(document: dict, where: str) -> str | None:
    found = document.get("commit")
    if found is None or (isinstance(found, str) and COMMIT.fullmatch(found)):
        return found
    raise _unlike("commit to be the digits of one", found, where)


def _gap(document: dict, where: str) -> dict[str, Any]:
    """Return what is known of the gap, without undefined and infinite numbers."""
    found = document.get("gap")
    told = {} if found is None else _mapping(found, "gap", where)
    names = {key: check_name(told[key], "class", where) for key in GAP_NAMES if key in told}
    numbers = {key: told[key] for key in (*GAP_SHARES, *GAP_PARTS) if not _undefined(told.get(key))}
    return names | {key: number(value, f"{key} of gap", where) for key, value in numbers.items()}


def _metrics(found: Any, where: str) -> dict[str, float]:
    """Return figures by name, those of classes as `per_class/<class>`, without undefined and infinite ones."""
    pairs = []
    for name, value in _mapping(found, "metrics", where).items():
        check_name(name, "metric", where)
        if isinstance(value, dict):
            pairs += [(f"{name}/{check_name(key, 'class', where)}", each) for key, each in value.items()]
        else:
            pairs.append((name, value))
    return {name: number(value, name, where) for name, value in pairs if not _undefined(value)}


def _undefined(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def number(value: Any, what: str, where: str) -> float:
    """Return `value` if it is a number of a size that can be added up.

    Raises:
        UserError: it is none; says `what` it should be, and `where` it was read.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return float(value)
    raise _unlike(f"{what} to be a number", value, where)


def whole(value: Any, what: str, where: str) -> int:
    """Return `value` if it is a whole number such as a seed; raises as `number`."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return value
    raise _unlike(f"{what} to be a whole number", value, where)


def _flag(document: dict, key: str, where: str) -> bool | None:
    value = document.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise _unlike(f"{key} to be true or false", value, where)


def _words(found: Any, what: str, where: str) -> dict[str, str | None]:
    return {
        check_name(key, f"key of {what}", where): value if value is None else check_name(value, key, where)
        for key, value in _mapping(found, what, where).items()
    }


def _mapping(value: Any, what: str, where: str) -> dict:
    if isinstance(value, dict):
        return value
    raise _unlike(f"{what} to be names and values", value, where)


def _unlike(expected: str, value: Any, where: str) -> UserError:
    kind = KINDS.get(type(value)) or (f"{value!r}" if abs(value) <= LARGEST else "a number beyond 10^15")
    return UserError(f"Expected {expected} in {where}, but it is half-written or holds {kind}: {REMEDY}.")
