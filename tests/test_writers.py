"""Everything in the repository that writes a file does so through `dassl.writing`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("benchmarks", "checkouts", "clip", "datasets", "explain", "grid", "report", "reproduce", "runs", "scripts")
ROOMS += ("toolbox", "trainers", "tuning", "vmfcoop")
FILES = [
    ROOT / "train.py",
    ROOT / "parse_test_res.py",
    ROOT / "predict.py",
    *(path for room in ROOMS for path in (ROOT / room).rglob("*.py")),
]
# Methods that write to whatever path they are given, and through a link that lies there.
WRITERS = {
    "write_text",
    "write_bytes",
    "savefig",
    "copyfile",
    "copy",
    "copy2",
    "copytree",
    "move",
    "save_file",
    "to_csv",
}
WRITERS |= {"savez", "savez_compressed", "tofile", "symlink_to", "hardlink_to", "save_pretrained", "to_json_file"}
WRITERS |= {"save", "dump"}
OURS = {"checkpoints.save", "tensors.save", "save"}  # by the one writer, into bytes, and report.plots.save
STREAMS = {"file", "target", "os.devnull"}  # how a file that is open is called, and what keeps nothing
MODELS = "clip/testing/"  # writes models with random weights, in the layouts of their publishers
# What is written into a folder that was made a moment ago under a name that nobody knew.
FRESH = {
    ("checkouts/hub_cache.py", "write_text"),
    ("checkouts/hub_cache.py", "symlink_to"),
    ("checkouts/hub_cache.py", "save"),
    ("checkouts/hub_cache.py", "copytree"),
    ("checkouts/stand_in.py", "save"),
    ("checkouts/workplace.py", "copyfile"),
    ("checkouts/workplace.py", "symlink_to"),
    ("clip/families/pmc_clip/model.py", "write_text"),
    ("clip/sanitize.py", "write_text"),
    ("clip/sanitize.py", "write_bytes"),
    ("datasets/download/install.py", "copy"),
    ("datasets/ukb/pseudonym.py", "fdopen"),  # opened so that it fails if anything is there
    ("datasets/phantoms/folder.py", "save"),
    ("benchmarks/few_shot_cost.py", "save"),
    ("benchmarks/padded_way.py", "save"),
}


def writes(call: ast.Call) -> str | None:
    """The name of what is called if it may write to a path."""
    if ast.unparse(call.func) in OURS:
        return None
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    words = [ast.unparse(argument) for argument in call.args]
    if name in WRITERS and words and not STREAMS & set(words):
        return name
    if name in ("open", "fdopen") and "Path(os.devnull)" not in ast.unparse(call.func):
        modes = [a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)]
        if any(isinstance(mode, str) and set(mode) & set("wa+") and len(mode) < 4 for mode in modes):
            return name
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_are_written_by_the_one_writer(path):
    name = path.relative_to(ROOT).as_posix()
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    found = {(writer, call.lineno) for call in calls if (writer := writes(call)) and (name, writer) not in FRESH}
    assert name == "toolbox/dassl/writing.py" or name.startswith(MODELS) or not found


def test_what_is_allowed_is_still_there():
    held = {
        (path.relative_to(ROOT).as_posix(), writes(node))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    assert held >= FRESH
