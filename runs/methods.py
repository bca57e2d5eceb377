"""The catalogue of methods: the classes of trainers/ that register themselves, and what each says of itself.

They are read from the source, so that a table of results does not wait for PyTorch.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dassl.errors import UserError
from dassl.names import check_availability
from dassl.source import read_registered

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "trainers"
CONFIGS = ROOT / "configs"
ZERO_SHOT = "ZeroshotCLIP"
PUBLISHED = "published"  # a baseline as BiomedCoOp's benchmark ran it
PROTOCOLS = ("best", PUBLISHED)
CHANGED = " ["  # begins the settings at the end of the name of a row
BENCHMARKED = " (as benchmarked)"  # what follows the name of such a row in tables


class Method(NamedTuple):
    """A registered trainer.

    Attributes:
        trainer: name of the class.
        short: name on command lines and of its folder in scripts/: what the class sets as `short`, else its name in
            lower case.
        seedless: draws no images and trains nothing, so that one run stands for every seed.
        closed_set: cannot be tested on classes that it never saw.
        title: readable name, for comparisons: what the class sets as `title`, else its name.
    """

    trainer: str
    short: str
    seedless: bool
    closed_set: bool
    title: str


def read_methods(folder: Path = FOLDER) -> list[Method]:
    """Return the methods that the modules in `folder` register, sorted by name.

    `short`, `title` and `seedless` hold for the class that sets them alone, `closed_set` for its subclasses too.

    Raises:
        UserError: two methods have one short name.
    """
    found = [
        Method(
            each.name,
            each.own.get("short", each.name.lower()),
            bool(each.own.get("seedless", False)),
            bool(each.constants.get("closed_set", False)),
            each.own.get("title", each.name),
        )
        for each in read_registered(folder, "TRAINER_REGISTRY", [folder / "base"])
    ]
    names = {method.short: method.trainer for method in found}
    for method in found:
        if names[method.short] != method.trainer:
            raise UserError(
                f"Expected a short name for each method, but {method.trainer} and {names[method.short]} are both "
                f'"{method.short}": set another `short` in one of the classes.'
            )
    return sorted(found, key=lambda method: method.trainer.lower())


ALL = read_methods()
METHODS = {method.short: method.trainer for method in ALL}
TITLES = {method.trainer: method.title for method in ALL}
SEEDLESS = {method.trainer for method in ALL if method.seedless}


def with_setting(setting: str) -> list[str]:
    """Return the short names of the methods that can be run in a setting, "few_shot" or "base2new"."""
    return [method.short for method in ALL if not (setting == "base2new" and method.closed_set)]


def default_seeds(method: str) -> tuple[int, ...]:
    """Return the seeds that are run unless others are asked for.

    >>> default_seeds("vmfcoop"), default_seeds("zeroshot")
    ((1, 2, 3), (1,))
    """
    return (1,) if trainer_name(split_protocol(method)[0]) in SEEDLESS else (1, 2, 3)


def trainer_name(method: str) -> str:
    """Return the trainer behind a short name; any other name is taken as a trainer's own.

    >>> trainer_name("vmfcoop"), trainer_name("CoOp_BiomedCLIP")
    ('vMFCoOp', 'CoOp_BiomedCLIP')
    """
    return METHODS.get(method, method)


def check_method(method: str, others: Iterable[str] = ()) -> None:
    """Raise a UserError unless a name, which may have a protocol, is that of a method or one of `others`."""
    name, protocol = split_protocol(method)
    check_protocol(protocol)
    name, others = trainer_of(name), list(others)
    if trainer_name(name) not in (*METHODS.values(), *others):
        check_availability(name, [*METHODS, *others], "method")


def short_name(trainer: str) -> str:
    """Return the short name of a trainer; one of another code base keeps its name."""
    return next((short for short, name in METHODS.items() if name == trainer), trainer)


def published_file(trainer: str) -> Path:
    """Return the yaml file of a method's published protocol; without it, the two protocols are the same."""
    return CONFIGS / "trainers" / trainer / f"{PUBLISHED}.yaml"


def both_protocols(methods: Iterable[str], setting: str = "few_shot") -> list[str]:
    """Return methods, each followed by its published protocol, such as "clip_adapter:published", if it has its own.

    In base to novel a benchmark has run those alone that have a yaml file for it.
    """

    def rows(method: str) -> list[str]:
        file = published_file(trainer_name(method))
        benchmarked = file.is_file() and (setting == "few_shot" or file.with_name(f"{setting}.yaml").is_file())
        return [method, f"{method}:{PUBLISHED}"] if benchmarked else [method]

    return [row for method in methods for row in rows(method)]


def split_protocol(method: str) -> tuple[str, str]:
    """Return the name of a method, and the protocol that follows it after a colon, "" for none.

    >>> split_protocol("clip_adapter:published"), split_protocol("coop")
    (('clip_adapter', 'published'), ('coop', ''))
    """
    name, _, protocol = method.partition(":")
    return name, protocol


def check_protocol(protocol: str) -> str:
    """Return a protocol; "" leaves it to the config files.

    Raises:
        UserError: there is no such protocol.
    """
    if protocol:
        check_availability(protocol, PROTOCOLS, "PROTOCOL")
    return protocol


def protocol_of_name(method: str) -> str:
    """Return the protocol that the name of a method asks for: "published" counts only if the method has it.

    >>> protocol_of_name("clip_adapter:published"), protocol_of_name("biomedcoop:published"), protocol_of_name("coop")
    ('published', 'best', 'best')
    """
    name, named = split_protocol(method)
    return PUBLISHED if named == PUBLISHED and published_file(trainer_name(name)).is_file() else PROTOCOLS[0]


def row_name(method: str, protocol: str = "", llm: str = "", changed: str = "") -> str:
    """Return the name of a method's row in tables.

    Args:
        method: a trainer or a short name; the protocol behind its colon counts only if the method has two.
        protocol: of a run.
        llm: the LLM whose sentences were read, where the name is to say it.
        changed: settings that are not those of the yaml files, in words.

    >>> row_name("biomedcoop:published"), row_name("vmfcoop", llm="gpt4")
    ('BiomedCoOp', 'vMFCoOp, gpt4')
    >>> row_name("vmfcoop", llm="gpt4", changed="LAMBDA_ANC 10")
    'vMFCoOp, gpt4 [LAMBDA_ANC 10]'
    >>> row_name("clip_adapter:published"), row_name("CLIPAdapter"), row_name("CLIPAdapter", "published")
    ('CLIPAdapter (as benchmarked)', 'CLIPAdapter', 'CLIPAdapter (as benchmarked)')
    """
    published = PUBLISHED in (protocol, protocol_of_name(method))
    name = trainer_name(split_protocol(method)[0]) + (BENCHMARKED if published else "")
    return name + (f", {llm}" if llm else "") + (f"{CHANGED}{changed}]" if changed else "")


def without_settings(row: str) -> str:
    """Return the name of a row in tables without its changed settings.

    >>> without_settings("vMFCoOp, gpt4 [LAMBDA_ANC 10, OPTIM.LR 0.1]")
    'vMFCoOp, gpt4'
    """
    return row.partition(CHANGED)[0]


def without_llm(row: str) -> str:
    """Return the name of a row in tables without its LLM and its changed settings.

    >>> without_llm("CLIPAdapter (as benchmarked)"), without_llm("vMFCoOp, gpt4 [LAMBDA_ANC 10]")
    ('CLIPAdapter (as benchmarked)', 'vMFCoOp')
    """
    return without_settings(row).partition(", ")[0]


def trainer_of(row: str) -> str:
    """Return the trainer of a row in tables, whose name may say protocol and LLM too.

    >>> trainer_of("CLIPAdapter (as benchmarked)"), trainer_of("vMFCoOp, gpt4")
    ('CLIPAdapter', 'vMFCoOp')
    """
    return without_llm(row).removesuffix(BENCHMARKED)


def method_of(row: str) -> str:
    """Return the name on command lines of the method of a row in tables.

    >>> method_of("CLIPAdapter (as benchmarked)"), method_of("vMFCoOp, gpt4")
    ('clip_adapter:published', 'vmfcoop')
    """
    published = without_llm(row).endswith(BENCHMARKED)
    return short_name(trainer_of(row)) + (f":{PUBLISHED}" if published else "")


def llm_of(row: str) -> str:
    """Return the LLM that the name of a row in tables says, "" for none.

    >>> llm_of("vMFCoOp, gpt4"), llm_of("vMFCoOp")
    ('gpt4', '')
    """
    return without_settings(row).partition(", ")[2]


def title_of(row: str) -> str:
    """Return the readable name of a row in tables; what stands behind the trainer's name stays.

    >>> title_of("ZeroshotEnsemble"), title_of("CLIPAdapter (as benchmarked)"), title_of("Mine, gpt4")
    ('zero-shot, LLM ensemble', 'CLIP-Adapter (as benchmarked)', 'Mine, gpt4')
    """
    trainer = trainer_of(row)
    return TITLES.get(trainer, trainer) + row.removeprefix(trainer)
