"""Which script runs which trainer, and where its runs lie."""

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

METHODS = {
    "zeroshot": "ZeroshotCLIP",
    "ensemble": "ZeroshotEnsemble",
    "selective_ensemble": "ZeroshotSelectiveEnsemble",
    "clip_adapter": "CLIPAdapter",
    "tip_adapter": "TipAdapter",
    "tip_adapter_f": "TipAdapterF",
    "ss_text": "SSText",
    "linear_probe": "LinearProbe",
    "lppp": "LPpp",
    "coop": "CoOp",
    "cocoop": "CoCoOp",
    "kgcoop": "KgCoOp",
    "prograd": "ProGrad",
    "biomedcoop": "BiomedCoOp",
    "vmfcoop": "vMFCoOp",
}
ZERO_SHOT = "ZeroshotCLIP"
SEEDLESS = {ZERO_SHOT, "ZeroshotEnsemble"}  # draw no images and train nothing: one run stands for every seed
SETTING = "nctx4_cscFalse_ctpend"
SCRIPTS = Path(__file__).parents[1] / "scripts"


def trainer_name(method: str) -> str:
    """Trainer behind a folder of `scripts/`; any other name is taken as a trainer's own."""
    return METHODS.get(method, method)


def script_folder(trainer: str) -> str:
    """Folder of `scripts/` that runs a trainer; a trainer without one keeps its name."""
    return next((folder for folder, name in METHODS.items() if name == trainer), trainer)


def with_script(script: str) -> list[str]:
    """Folders of `scripts/` that hold a script, such as "base2new"."""
    return [folder for folder in METHODS if (SCRIPTS / folder / f"{script}.sh").is_file()]


def in_order(trainers: Iterable[str]) -> list[str]:
    """Trainers once each: known ones in the order of METHODS, then others by name."""
    names = set(trainers)
    known = [name for name in METHODS.values() if name in names]
    return known + sorted(names - set(known))


def folder_name(text: str) -> str:
    """`text` as one safe folder name: `hf-hub:org/model` becomes `hf-hub-org-model`."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)


def seeds_folder(
    output: str | Path, dataset: str, shots: int, method: str, backbone: str, setting: str = SETTING
) -> Path:
    """Folder that holds seed1/, seed2/, ... of one method; names that already end in the backbone are kept."""
    name, suffix = trainer_name(method), "_" + folder_name(backbone)
    return Path(output) / dataset / f"shots_{shots}" / (name.removesuffix(suffix) + suffix) / setting


def fill_command(
    method: str,
    dataset: str,
    shots: int | Sequence[int],
    backbone: str,
    *,
    data: str,
    output: str | Path = "output",
    seeds: Sequence[int] = (),
    script: str = "few_shot",
) -> str:
    """Shell line that makes the runs of a gap, or a sentence where the method has no script here."""
    if method not in METHODS:
        return f"train {method} (its runs are read, but scripts/ has no folder for it)"
    output = Path(output)
    if output.parent.name == "base2new":  # .../base2new/train_base and test_new come from one script
        output, script = output.parent.parent, "base2new"
    several = str(shots) if isinstance(shots, int) else " ".join(map(str, shots))
    settings = {
        "DATA": data,
        "SEEDS": " ".join(map(str, seeds)),
        "OUTPUT": "" if output == Path("output") else str(output),
    }
    words = [f"{name}={shlex.quote(value)}" for name, value in settings.items() if value]
    words += ["bash", f"scripts/{method}/{script}.sh", dataset, shlex.quote(several), shlex.quote(backbone)]
    return " ".join(words)
