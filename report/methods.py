"""Which script runs which trainer, and where its runs lie."""

import re
import shlex
from pathlib import Path

METHODS = {
    "zeroshot": "ZeroshotCLIP",
    "ensemble": "ZeroshotEnsemble",
    "selective_ensemble": "ZeroshotSelectiveEnsemble",
    "coop": "CoOp",
    "biomedcoop": "BiomedCoOp",
    "vmfcoop": "vMFCoOp",
}
ZERO_SHOT = "ZeroshotCLIP"
SEEDLESS = {ZERO_SHOT, "ZeroshotEnsemble"}  # draw no images and train nothing: one run stands for every seed
SETTING = "nctx4_cscFalse_ctpend"


def trainer_name(method: str) -> str:
    """Trainer behind a folder of `scripts/`; any other name is taken as a trainer's own."""
    return METHODS.get(method, method)


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
    shots: int,
    backbone: str,
    *,
    data: str,
    output: str | Path = "output",
    seeds: tuple[int, ...] = (),
) -> str:
    """Shell line that makes the runs of a gap, or a sentence where the method has no script here."""
    if method not in METHODS:
        return f"train {method} (its runs are read, but scripts/ has no folder for it)"
    output, script = Path(output), "few_shot"
    if output.parent.name == "base2new":  # .../base2new/train_base and test_new come from one script
        output, script = output.parent.parent, "base2new"
    settings = {
        "DATA": data,
        "SEEDS": " ".join(map(str, seeds)),
        "OUTPUT": "" if output == Path("output") else str(output),
    }
    words = [f"{name}={shlex.quote(value)}" for name, value in settings.items() if value]
    return " ".join([*words, f"bash scripts/{method}/{script}.sh {dataset} {shots} {shlex.quote(backbone)}"])
