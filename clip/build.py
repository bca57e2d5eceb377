"""Backbones by name."""

from pathlib import Path

from clip.backbone import PRECISIONS, Backbone
from clip.files import TOKENIZER, WEIGHTS, HubRepo, locate, weights_folder
from dassl.errors import UserError

# Short names and where their files are. A further family adds its own names and its own `build(name, source)`.
NAMES = {
    "BiomedCLIP": "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
    "CLIP": "hf-hub:timm/vit_base_patch16_clip_224.openai",
    "PhantomCLIP": f"local-dir:{Path(__file__).parent / 'phantomclip'}",
}
SCHEMES = ("hf-hub:", "local-dir:")
PHANTOM_MARK = "phantom.json"  # in the folder of weights that were trained on phantoms


def source_of(name: str) -> str:
    """Where the backbone called `name` comes from, as `hf-hub:org/model[@revision]` or `local-dir:/path`.

    Raises:
        UserError: an unknown name; lists what exists.
    """
    if not is_ours(name):
        raise UserError(
            f"Expected a backbone of {', '.join(NAMES)}, hf-hub:org/model[@revision] or local-dir:/path, but got "
            f'"{name}".'
        )
    return weights_folder(name) or NAMES[name] if name in NAMES else name


def is_ours(name: str) -> bool:
    """Whether `build_backbone` knows the name; another checkout may have names of its own, such as ViT-B/16."""
    return name in NAMES or name.startswith(SCHEMES)


def files_of(name: str) -> list[Path]:
    """The files on this machine that make the backbone called `name`, as far as that is known.

    Weights and configuration; of a folder the tokenizer too. (The hub's cache may get further files later.)
    """
    if not is_ours(name):
        return []
    place = locate(source_of(name))
    kinds = [WEIGHTS, ("open_clip_config.json",)]
    if not isinstance(place, HubRepo):
        kinds += [("config.json",), TOKENIZER]
    return [path for kind in kinds if (path := place.find_here(kind))]


def is_phantom(name: str) -> bool:
    """Whether the weights of the backbone called `name` bear the phantoms' mark: they never saw a real image."""
    return is_ours(name) and locate(source_of(name)).find_here([PHANTOM_MARK]) is not None


def build_backbone(name: str, device: str = "cpu", precision: str = "fp32") -> Backbone:
    """The frozen backbone called `name`.

    Args:
        name: a short name (BiomedCLIP, CLIP = OpenAI's ViT-B/16, PhantomCLIP), `hf-hub:org/model`, with
            `@revision` behind it for a commit, tag or branch, or `local-dir:/path`. For a short name the folder
            `$VMFCOOP_WEIGHTS/<name>` is taken first, if there is one.
        device: where to put it.
        precision: "fp32"; "bf16": matrix products in bfloat16, about twice as fast where the processor has them; or
            "tf32": products and convolutions of NVIDIA's tensor cores, which keep 10 bits of each factor.

    Raises:
        UserError: an unknown name or precision; lists what exists.
        UserError: a file is missing; says which, and how to bring it.
    """
    if precision not in PRECISIONS:
        raise UserError(f'Expected PREC to be one of {", ".join(PRECISIONS)}, but got "{precision}".')
    source = source_of(name)
    from clip import open_clip_family  # heavy: only now
    from clip.few_rows import few_rows

    backbone = open_clip_family.build(name, source).to(device)
    backbone.precision = precision
    if precision != "bf16":
        few_rows(backbone)
    return backbone
