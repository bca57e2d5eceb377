"""Reduce the files that describe a model to known keys and values, so that they cannot name code, paths or addresses.

Libraries obey the configurations that come with weights: they import a Python file that is named there, download what
is named there, or ask on the terminal. Therefore they are given files that are written anew from known keys.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from clip.families.open_clip_models.published import CONFIG
from clip.files import TOKENIZER, Folder, HubRepo, hub_cache
from clip.known_keys import (
    ABOUT_FILES,
    MODEL,
    OLD_NAMES,
    PREPROCESSING,
    SPECIAL_TOKENS,
    TEXT,
    TEXT_TOWER,
    TEXT_TOWERS,
    TOKENIZER_CLASS,
    TOKENIZER_CONFIG,
    TOKENIZER_KWARGS,
    VISION,
    Kind,
    of_text_tower,
)
from dassl.console import printable, tell
from dassl.errors import UserError
from dassl.reading import MB, read_bytes, read_json
from dassl.utils.tensor_files import is_lfs_pointer, unreadable

# Configurations of text towers of well-known models, for folders that were copied without them.
BUNDLED = Path(__file__).parent / "text_configs"
OLD_REPOSITORIES = {  # names that repositories of the hub had before; they hold the same files
    "BiomedNLP-PubMedBERT-base-uncased-abstract": "BiomedNLP-BiomedBERT-base-uncased-abstract"
}
VOCABULARY_LIMIT = 512 * MB  # for a file of a tokenizer; those of many languages hold a million words
# Files of a tokenizer beside its configuration; no others are copied.
VOCABULARIES: tuple[str, ...] = (*TOKENIZER, "merges.txt", "special_tokens_map.json", "added_tokens.json")
VOCABULARIES += ("sentencepiece.bpe.model", "spiece.model", "tokenizer.model")


def read_model_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return model_cfg and preprocess_cfg of an open_clip_config.json, after a check of all keys and values.

    Raises:
        UserError: a part is missing, a key is unknown or a value is of another kind; names file, key and value.
    """
    config = read_json(path)
    try:
        model = config["model_cfg"] | {name: dict(config["model_cfg"][name]) for name in ("text_cfg", "vision_cfg")}
        preprocess = dict(config.get("preprocess_cfg") or {})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"Expected model_cfg with text_cfg and vision_cfg in {path}, but it lacks one: copy it from the model's "
            "page on the hub."
        ) from error
    if "multimodal_cfg" in model:
        raise UserError(
            f"Expected a model of two towers in {path}, but it has multimodal_cfg, a CoCa that writes captions: choose "
            "another model."
        )
    text = {new: model["text_cfg"].pop(old) for old, new in OLD_NAMES.items() if old in model["text_cfg"]}
    model["text_cfg"] = text | model["text_cfg"]
    check_values(model, MODEL, path, "model_cfg")
    check_values(model["vision_cfg"], VISION, path, "vision_cfg")
    check_values(model["text_cfg"], TEXT, path, "text_cfg")
    check_values(model["text_cfg"].get("tokenizer_kwargs") or {}, TOKENIZER_KWARGS, path, "tokenizer_kwargs")
    preprocess = keep_known(preprocess, PREPROCESSING, path)
    check_values(preprocess, PREPROCESSING, path, "preprocess_cfg")
    if name := model["vision_cfg"].get("timm_model_name"):
        _check_timm(name, path)
        model["vision_cfg"]["timm_model_pretrained"] = False
    model["text_cfg"]["hf_model_pretrained"] = False
    return model, preprocess


def check_values(values: Mapping[str, Any], kinds: Mapping[str, Kind], path: Path, where: str) -> None:
    """Raise a UserError for the first key that is unknown or has a value of another kind; None is always allowed.

    Args:
        values: a part of a configuration.
        kinds: the allowed kinds of value, by key.
        path: of the configuration.
        where: name of the part.
    """
    for key, value in values.items():
        if key not in kinds:
            raise UserError(
                f"Expected {where} of {path} to have no keys but {', '.join(kinds)}, but got {_short(key)}: choose "
                "another model, as what that key does is not known here."
            )
        if value is not None and not kinds[key].fits(value):
            raise UserError(
                f"Expected {where}.{key} of {path} to be {kinds[key].words}, but got {_short(value)}: copy the file "
                "from the model's page on the hub, or choose another model."
            )


def _check_timm(name: str, path: Path) -> None:
    """Raise a UserError if timm builds no model of this name."""
    import timm

    if not timm.is_model(name):
        raise UserError(
            f"Expected vision_cfg.timm_model_name of {path} to be a model that timm {timm.__version__} builds, but got "
            f"{_short(name)}: upgrade timm, or choose another model."
        )


def keep_known(
    values: Mapping[str, Any], known: Collection[str], path: Path, unneeded: Collection[str] = ()
) -> dict[str, Any]:
    """Return the known keys with their values.

    Prints one line about the others, except for those of no consequence: in `ABOUT_FILES`, or `unneeded`.
    """
    if others := [key for key in values if not any(key in keys for keys in (known, ABOUT_FILES, unneeded))]:
        tell(f"Left out of {path}, as it is not needed or not known here: {', '.join(map(_short, others))}.")
    return {key: value for key, value in values.items() if key in known}


def _short(value: Any) -> str:
    """Return a value as at most 60 printable characters in quotation marks."""
    text = printable(value if isinstance(value, str) else repr(value))
    return f'"{text[:60]}..."' if len(text) > 60 else f'"{text}"'


# ---------------------------------------------------------------------------------------------------------- text tower


def _text_config(place: Folder, hf_name: str) -> dict:
    """Return the known keys of a text tower's config.json; of well-known models we have a copy, in case it is missing.

    Args:
        place: of the tower's files.
        hf_name: name of the tower's repository.

    Raises:
        UserError: there is no config.json, or it is of a kind that open_clip does not build.
    """
    repository = hf_name.rsplit("/", 1)[-1]
    bundled = BUNDLED / OLD_REPOSITORIES.get(repository, repository) / "config.json"
    path = place.find(["config.json"])
    config = read_json(path) if path else None
    of_both = isinstance(config, dict) and config.get("model_type") == "clip"  # of transformers, for both towers
    if path is None or of_both or not (isinstance(config, dict) and "model_type" in config):
        path = bundled if bundled.is_file() else place.need("config.json")
        config = read_json(path)
    found = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(found, str) or found not in TEXT_TOWERS:
        raise UserError(
            f"Expected model_type in {path} to be one of {', '.join(TEXT_TOWERS)}, which open_clip builds, but got "
            f"{_short(found)}: copy the text tower's config.json, or choose another model."
        )
    kept = keep_known(config, TEXT_TOWER, path)
    check_values(kept, {key: of_text_tower(key) for key in kept}, path, "the configuration")
    _check_class(kept, path)
    return kept


def _check_class(config: Mapping[str, Any], path: Path) -> None:
    """Raise a UserError if a configuration asks for an unknown class of tokenizer."""
    name = config.get("tokenizer_class")
    if name is not None and not TOKENIZER_CLASS.fullmatch(str(name)):
        raise UserError(
            f"Expected tokenizer_class in {path} to be one of transformers' such as BertTokenizer, but got "
            f"{_short(name)}: a tokenizer that is not known here is not read."
        )


def _tokenizer_place(place: Folder, text_cfg: Mapping[str, Any]) -> Folder:
    """Return the place of a tokenizer.

    For a model of the hub it is the tokenizer's own repository there, if there is one, else beside the weights. In a
    folder it lies beside the weights; only if these came without a configuration of their own it may be in the hub's
    cache, and one line says so.

    Raises:
        UserError: it is at neither of the last two places; says how to bring it.
    """
    names = [text_cfg[key] for key in ("hf_tokenizer_name", "hf_model_name") if text_cfg.get(key)]
    if isinstance(place, HubRepo):
        return next((repo for repo in map(HubRepo, names) if repo.find(TOKENIZER)), place)
    if place.find([CONFIG]) or place.find(TOKENIZER):
        return place
    if found := (repo := HubRepo(names[0])).find_here(TOKENIZER):
        tell(f"The tokenizer of {place.path} is read from {found.parent}")
        return repo
    raise UserError(
        f"Expected {' or '.join(TOKENIZER)} in {place.path}, or {names[0]} in the hub's cache {hub_cache()}, but got "
        f"neither: on a machine with network run `hf download {names[0]} vocab.txt tokenizer_config.json`, and copy "
        "these files beside the weights."
    )


def write_tokenizer(place: Folder, text_cfg: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the files of a model's tokenizer into `folder`; return the paths of the originals, the vocabulary first.

    Raises:
        UserError: there is no tokenizer, it is of an unknown class, or a file is damaged; names it.
    """
    there = _tokenizer_place(place, text_cfg)
    vocabulary = there.need(*TOKENIZER)
    needed = ["tokenizer_config.json", *(["merges.txt"] if vocabulary.name == "vocab.json" else [])]
    found = [vocabulary, *(there.find([name]) for name in needed), *(there.find_here([name]) for name in VOCABULARIES)]
    files = list(dict.fromkeys(path for path in found if path))
    for path in files:
        if is_lfs_pointer(path):
            raise unreadable(path, EOFError(), "a tokenizer")
    for path in files:
        if path.name == "tokenizer_config.json":
            (folder / path.name).write_text(json.dumps(read_tokenizer_config(path)), encoding="utf-8")
        elif path.name == "special_tokens_map.json":  # transformers takes any option from it, paths too
            (folder / path.name).write_text(json.dumps(keep_known(_dictionary(path), SPECIAL_TOKENS, path)), "utf-8")
        else:
            (folder / path.name).write_bytes(read_bytes(path, VOCABULARY_LIMIT))
    return files


def read_tokenizer_config(path: Path) -> dict:
    """Return the known keys of a tokenizer_config.json."""
    kept = keep_known(_dictionary(path), TOKENIZER_CONFIG, path)
    _check_class(kept, path)
    return kept


def _dictionary(path: Path) -> dict:
    """Read a JSON file; raise a UserError unless it holds a dictionary."""
    config = read_json(path)
    if not isinstance(config, dict):
        raise UserError(f"Expected a dictionary in {path}, but got {_short(config)}: copy it from the hub.")
    return config


def write_text_files(place: Folder, text_cfg: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the files from which a text tower is built into `folder`: its config.json and its tokenizer.

    Returns:
        Paths of the tokenizer's original files, the vocabulary first; none for the tokenizer of OpenAI's CLIP.
    """
    name = text_cfg.get("hf_model_name")
    if name:
        config = _text_config(HubRepo(name) if isinstance(place, HubRepo) else place, name)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return write_tokenizer(place, text_cfg, folder) if name or text_cfg.get("hf_tokenizer_name") else []


def write_files(place: Folder, folder: Path) -> dict:
    """Write all files of the model at `place` but its weights into `folder`, laid out as on the hub.

    Returns:
        The text_cfg of its open_clip_config.json.
    """
    model, preprocess = read_model_config(place.need(CONFIG))
    config = {"model_cfg": model, "preprocess_cfg": preprocess}
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    write_text_files(place, model["text_cfg"], folder)
    return model["text_cfg"]
