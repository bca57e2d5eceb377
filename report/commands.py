"""The shell line that makes missing runs."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from dassl.console import IN_NAME
from dassl.names import OWN_FOLDER
from runs.layout import OWN
from runs.methods import METHODS

ROOT = Path(__file__).parents[1]


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
    """Return the shell line that makes the runs of a gap, or a sentence where there is none.

    A backbone of which only the folder's last part is known gets `<folder>` before it.
    """
    if method not in METHODS:
        return f"train {shlex.quote(method)} (its runs are read, but trainers/ has no such method)"
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
    dataset = next((own for own in OWN if dataset.startswith(f"{own}-")), dataset)
    file = f"scripts/{method}/{script}.sh"
    call = ["bash", file] if (ROOT / file).is_file() else ["bash", f"scripts/{script}.sh", method]
    if backbone.startswith(OWN_FOLDER) and "/" not in backbone and "<" not in backbone:
        backbone = f"{OWN_FOLDER}<folder>/{backbone.removeprefix(OWN_FOLDER)}"
    line = " ".join([*words, shlex.join([*call, dataset, several, backbone])])
    if IN_NAME.search(line):  # a shell may obey it while it is pasted, whatever stands around it
        return "no command: a name in it has control characters"
    return line
