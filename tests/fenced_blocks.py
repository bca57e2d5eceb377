"""The fenced blocks of a document, carried out as they are written."""

import re
import subprocess
from pathlib import Path

from tests.code_copies import run_there

FAST = "OPTIM.MAX_EPOCH 1 DATALOADER.NUM_WORKERS 0"


def blocks(document: Path, begin: str, end: str) -> list[tuple[str, str]]:
    """Return the language and text of each fenced block between the words `begin` and `end`."""
    text = document.read_text()
    assert begin in text, f"{document.name} has no {begin!r}"
    part = text.partition(begin)[2].partition(end)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", part, re.DOTALL | re.MULTILINE)


def write_files(code: Path, found: list[tuple[str, str]]) -> list[Path]:
    """Write the blocks that begin with the name of a file into a copy of the code."""
    paths = []
    for language, text in found:
        if language in ("python", "yaml"):
            paths.append(code / text.partition("\n")[0].removeprefix("# "))
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_text(text)
    return paths


def shell(found: list[tuple[str, str]]) -> str:
    """Return the lines of the blocks for the shell."""
    return "".join(text for language, text in found if language == "bash")


def run_shell(code: Path, lines: str, opts: str = FAST, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run lines in a copy of the code, quickly: one seed, short runs, and PhantomCLIP where DATA is set."""
    lines = re.sub(r'OPTS="', f'OPTS="{opts} ', lines)
    lines = re.sub(r"^(.*few_shot\.sh [^#\n]*?\d)( *(?:#.*)?)$", r"\1 PhantomCLIP\2", lines, flags=re.MULTILINE)
    environment = {"SEEDS": "1", "OPTS": opts, "BACKBONE": "PhantomCLIP"} | environment
    return run_there(code, "bash", "-ec", lines, **environment)
