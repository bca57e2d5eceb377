"""Weights under a published name are read and never run, archives of code among them."""

import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from clip import build_backbone
from clip.families.open_clip_models.checkpoint import read_weights
from clip.families.open_clip_models.published import ARCHIVES, PUBLISHED
from clip.files import HubRepo
from clip.testing import write_tokenizer
from clip.testing.published import write_archive
from dassl.errors import UserError

pytestmark = [pytest.mark.usefixtures("sentinel", "no_network", "no_stdin")]

PRINTED = "this ran"


class Calls:
    """Pickled, it calls a function of a library when it is read."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class RunsAtLoad(torch.nn.Module):
    """In an archive, its code is run when it is loaded."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self):
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        print("this ran")
        self.weight = state[0]
        self.training = state[1]


def save_code(path: Path, module: torch.nn.Module) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), path)
    return path


@pytest.fixture
def never_loaded(monkeypatch):
    """Fails the test if an archive of code is loaded."""
    monkeypatch.setattr(torch.jit, "load", lambda *args, **kwargs: pytest.fail("code was loaded"))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("place", ["weights", "beside", "number", "bytes"])
def test_a_pickle_under_a_published_name(name, place, tmp_path, sentinel):
    content = {
        "weights": {"state_dict": sentinel},
        "beside": {"state_dict": {"w": torch.zeros(1)}, "optimizer": sentinel},
        "number": {"w": torch.zeros(1), "lr": Calls(np._core.multiarray.scalar, sentinel, b"x")},
        "bytes": {"w": torch.zeros(1), "lr": Calls(np.dtype, sentinel)},
    }[place]
    torch.save(content, tmp_path / name)
    write_tokenizer(tmp_path)
    with pytest.raises(UserError, match=rf"{name}, but it holds pickled objects, which are not loaded"):
        build_backbone(f"local-dir:{tmp_path / name}")


@pytest.mark.parametrize(
    "function", [np.load, np.fromfile, np.memmap, np._core.multiarray._reconstruct, np.frombuffer, pickle.loads]
)
def test_other_functions_of_numpy_are_not_called(function, tmp_path):
    torch.save({"state_dict": {"w": torch.zeros(1)}, "lr": Calls(function, b"x")}, tmp_path / "BMC_CLIP_CF.pt")
    with pytest.raises(UserError, match="pickled objects"):
        build_backbone(f"local-dir:{tmp_path / 'BMC_CLIP_CF.pt'}")


def test_numpy_is_not_asked_to_make_a_number(tmp_path):
    """It would trust a type's flags and take eight bytes for the address of an object; here it is read over."""
    kind = Calls(np.dtype, "no type of NumPy's")
    torch.save(
        {"state_dict": {"w": torch.ones(1)}, "lr": Calls(np._core.multiarray.scalar, kind, b"x")}, tmp_path / "w"
    )
    assert torch.equal(read_weights(tmp_path / "w")["w"], torch.ones(1))


def test_a_look_into_the_cache_asks_nobody():
    assert HubRepo("org/model").find_here(["tokenizer.json"]) is None


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - set(ARCHIVES)))
def test_code_under_another_name_than_an_archive(name, tmp_path, never_loaded):
    path = save_code(tmp_path / name, torch.nn.Linear(1, 1))
    write_tokenizer(tmp_path)
    with pytest.raises(UserError, match=rf"Expected weights in {path}"):
        build_backbone(f"local-dir:{path}")


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_runs_at_load(name, tmp_path, capfd, monkeypatch):
    path = save_code(tmp_path / name, RunsAtLoad())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(path)
    assert PRINTED in capfd.readouterr().out  # so it would
    monkeypatch.setattr(torch.jit, "load", lambda *args, **kwargs: pytest.fail("code was loaded"))
    with pytest.raises(UserError, match=rf"{path}, but a class in it defines __setstate__, code that runs when"):
        build_backbone(f"local-dir:{path}")
    assert PRINTED not in capfd.readouterr().out


def test_a_class_within_an_archive_that_runs_at_load(tmp_path, never_loaded):
    """A second member of the same name hides nothing: the reader that looks is the one that loads."""
    path = save_code(tmp_path / "RN50.pt", torch.nn.Sequential(torch.nn.Linear(1, 1), RunsAtLoad()))
    with pytest.raises(UserError, match="__setstate__"):
        build_backbone(f"local-dir:{path}")


def test_a_member_that_hides_another(tmp_path, capfd):
    """Of two members of one name, what is looked at is what would be loaded."""
    path = save_code(tmp_path / "RN50.pt", RunsAtLoad())
    with zipfile.ZipFile(path) as archive:
        code = next(name for name in archive.namelist() if "/code/" in name and name.endswith(".py"))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(code, "")
    with pytest.raises(UserError, match=rf"Expected .*{path}"):
        build_backbone(f"local-dir:{path}")
    assert PRINTED not in capfd.readouterr().out


def test_an_archive_with_pickled_objects_of_python(tmp_path, sentinel):
    """Its objects are those of TorchScript; a name of Python's is not looked up."""
    path = write_archive(tmp_path / "ViT-B-16.pt", {"visual.proj": torch.zeros(2, 2)})
    members = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            members[info.filename] = archive.read(info)
    name = next(name for name in members if name.endswith("/data.pkl"))
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, pickle.dumps(sentinel, protocol=2) if member == name else content)
    with pytest.raises(UserError, match=rf"Expected weights in {path}"):
        build_backbone(f"local-dir:{path}")
