"""Files of a model are looked for in the user's folders, in the hub's cache, and where other programs keep them."""

import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

from clip import build_backbone, places
from clip.files import Address, Folder, HubRepo, locate
from clip.models import Model
from clip.places import present_source
from dassl.errors import UserError
from tests.clip.published_models import bare_machine

ONE = Model("hf-hub:org/model", 512, 77, 224, "MIT", weights=(("one.pth", "one.pt"),), archive="One.pt")
THREE = Model("hf-hub:datasets/org/three", 768, 77, 224, "MIT", weights=(("a.pth",), ("b.pth",), ("c.pth",)))


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> Path:
    return bare_machine(tmp_path, monkeypatch)


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def cached(machine: Path, repo: str, name: str) -> None:
    """Put a file into the hub's cache."""
    root = machine / "hub" / repo
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text("0" * 40)
    put(root / "snapshots" / ("0" * 40) / name)


def test_nothing_is_here(machine):
    assert present_source("One", ONE) == ONE.source and present_source("Three", THREE) == THREE.source


def test_places_come_in_the_order_in_which_they_are_told(machine):
    put(machine / "home/.cache/clip/One.pt")
    assert present_source("One", ONE) == f"local-dir:{machine}/home/.cache/clip/One.pt"
    put(machine / "ours/clip/checkpoints/one.pt")
    assert present_source("One", ONE) == f"local-dir:{machine}/ours/clip/checkpoints/one.pt"
    put(machine / "biomedcoop/clip/checkpoints/one.pth")
    assert present_source("One", ONE) == f"local-dir:{machine}/biomedcoop/clip/checkpoints/one.pth"
    cached(machine, "models--org--model", "one.pth")
    assert present_source("One", ONE) == ONE.source
    (machine / "weights/One").mkdir(parents=True)
    assert present_source("One", ONE) == f"local-dir:{machine}/weights/One"


def test_a_model_of_several_files_is_a_folder_that_has_them_all(machine):
    folder = machine / "biomedcoop/clip/checkpoints"
    for name in ("a.pth", "b.pth"):
        put(folder / name)
    assert present_source("Three", THREE) == THREE.source
    put(folder / "c.pth")
    assert present_source("Three", THREE) == f"local-dir:{folder}"


def test_repositories_of_data_hold_weights_too(machine):
    for name in ("a.pth", "b.pth", "c.pth"):
        cached(machine, "datasets--org--three", name)
    put(machine / "ours/clip/checkpoints/a.pth")
    assert [place.is_there for place in places.places("Three", THREE)] == [False, True, False, False]
    repo = locate(THREE.source)
    assert isinstance(repo, HubRepo) and repo.need("b.pth").name == "b.pth" and repo.revision == "0" * 40


def test_a_file_of_weights_names_itself_and_its_folder(machine):
    for name in ("one.pth", "other.pth"):
        put(machine / name)
    whole, chosen = Folder(machine), Folder(machine / "other.pth")
    assert whole.weights(["none.pth", "one.pth", "other.pth"]) == "one.pth"
    assert chosen.weights(["one.pth", "other.pth"]) == "other.pth" and chosen.weights(["one.pth"]) is None
    assert chosen.path == machine


def test_what_has_to_be_brought_by_hand_says_how():
    place = locate("https://example.org/model.zip")
    assert isinstance(place, Address) and place.find_here(["model.zip"]) is None
    with pytest.raises(
        UserError, match=r"model\.zip of https://example\.org/model\.zip.*curl -LO https.*VMFCOOP_WEIGHTS"
    ):
        place.need("model.zip")


def test_a_hub_that_cannot_be_reached_is_asked_once(machine, monkeypatch):
    asked = []

    def unreachable(url):
        asked.append(url)
        raise ConnectionError

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", unreachable)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", None)
    repo = HubRepo("org/model@v1")
    assert repo.find(["one", "two"]) is None and repo.find(["three"]) is None
    assert [url.partition("/org/")[2] for url in asked] == ["model/resolve/v1/one"]


def test_without_a_network_the_way_to_bring_files_is_told_at_once(machine, monkeypatch):
    def nowhere(host, *args, **kwargs):
        asked.append(host)
        raise socket.gaierror("no network")

    def sleep(seconds):
        pytest.fail(f"waited for {seconds} s")

    asked = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    monkeypatch.setattr("time.sleep", sleep)
    sentence = (
        r"open_clip_config\.json of org/model .*could not be had.*hf download org/model.*give local-dir:/path/to/mo"
    )
    with pytest.raises(UserError, match=sentence):
        build_backbone("hf-hub:org/model")
    assert 0 < len(asked) <= 3  # once for each of several places that a file of this model may have
