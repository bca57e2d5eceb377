"""Build backbones by name."""

from pathlib import Path

from clip.backbone import PRECISIONS, Backbone
from clip.families import find_family, known_models
from clip.files import HubRepo, is_local, locate
from clip.places import present_source
from dassl.console import tell
from dassl.errors import UserError
from dassl.names import unknown_name

SCHEMES = ("hf-hub:", "local-dir:")
PHANTOM_MARK = "phantom.json"  # file beside weights that were trained on phantoms


def source_of(name: str) -> str:
    """Return the place of a backbone's files: `hf-hub:org/model[@revision]`, `local-dir:/path` or `https://...`.

    Raises:
        UserError: the name is unknown; lists the known ones.

    Example:
        >>> source_of("hf-hub:org/model@v1")
        'hf-hub:org/model@v1'
    """
    if not is_ours(name):
        known = [*known_models(), "hf-hub:org/model[@revision]", "local-dir:/path"]
        raise UserError(unknown_name(name, known, "backbone"))
    model = known_models().get(name)
    return present_source(name, model) if model else name


def is_ours(name: str) -> bool:
    """Return whether `build_backbone` knows the name; other checkouts have names of their own, such as ViT-B/16.

    Example:
        >>> is_ours("BiomedCLIP"), is_ours("local-dir:/data/model"), is_ours("ViT-B/16")
        (True, True, False)
    """
    return name in known_models() or any(name.removeprefix(scheme) not in (name, "") for scheme in SCHEMES)


def files_of(name: str) -> list[Path]:
    """Return the files of a backbone that are on this machine: weights, configuration and, in a folder, the tokenizer.

    A tokenizer of the hub is left out, because its files may be downloaded later. An unknown name has no files.
    """
    if not is_ours(name):
        return []
    source = source_of(name)
    place, family = locate(source), find_family(name, source)
    kinds = [*(family.weights(name, place) if hasattr(family, "weights") else ()), *getattr(family, "DESCRIBED", ())]
    if not isinstance(place, HubRepo):
        kinds += getattr(family, "BESIDE", ())
    return [path for kind in kinds if (path := place.find_here(kind))]


def is_phantom(name: str) -> bool:
    """Return whether a backbone was trained on phantoms alone, which a mark beside its weights says."""
    return is_ours(name) and locate(source_of(name)).find_here([PHANTOM_MARK]) is not None


def build_backbone(name: str, device: str = "cpu", precision: str = "fp32") -> Backbone:
    """Build the frozen backbone called `name`.

    Args:
        name: a short name (`python -m clip list` prints them; CLIP is OpenAI's ViT-B/16), `hf-hub:org/model`,
            optionally followed by `@revision` for a commit, tag or branch, or `local-dir:/path` of a folder or of a
            file of weights. A short name is looked for in the `clip.places.places` of its model.
        device: of the weights.
        precision: "fp32"; "bf16": matrix products in bfloat16, about twice as fast where the processor supports them;
            "tf32": products and convolutions of NVIDIA's tensor cores, which keep 10 bits of each factor.

    Raises:
        UserError: the name or precision is unknown; lists the known ones.
        UserError: a file is missing or does not fit; names it and says what to do.
    """
    if precision not in PRECISIONS:
        raise UserError(
            f'Expected precision to be one of {", ".join(PRECISIONS)}, but got "{precision}": choose one of these (in '
            "a run by TRAINER.<METHOD>.PREC)."
        )
    source = source_of(name)
    from clip.speed.transposed_linear import use_transposed_linear

    family = find_family(name, source)
    if name in known_models() and is_local(source) and source != known_models()[name].source:
        kind = family.__name__.rpartition(".")[2]
        told = "" if name in family.NAMES else f", which holds a model of another family than {name}'s: {kind}"
        tell(f"{name} is read from {source.removeprefix('local-dir:')}{told}")
    backbone: Backbone = family.build(name, source).to(device)
    backbone.precision = precision
    if precision != "bf16":
        use_transposed_linear(backbone)
    return backbone
