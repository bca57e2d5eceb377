"""Download an archive from the Hugging Face hub or a mirror: address, size and sum are those that the hub tells."""

import hashlib
import json
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants

from datasets.btmri import BTMRI
from datasets.download import fetch, sources
from tests.datasets.archives import assert_ready, assert_untouched, run, said
from tests.datasets.serving import as_hub, send

REPO = "/datasets/TahaKoleilat/BiomedCoOp"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MIRROR = "https://files.test"
ADDRESS = f"{MIRROR}{REPO}/resolve/{COMMIT}/BTMRI.zip"


class Hub:
    """A hub that tells commit, size and sum of an archive, and redirects to a store; keeps the requests."""

    def __init__(self, files):
        self.files, self.asked, self.statuses = files, [], []
        self.told = {
            "X_Repo_Commit": COMMIT,
            "X_Linked_Size": len(files.content),
            "X_Linked_Etag": f'"{hashlib.sha256(files.content).hexdigest()}"',
        }

    def __call__(self, handler) -> bool:
        path = urlsplit(handler.path).path
        if path.startswith("/store"):
            return False
        if not path.startswith(REPO):  # what the library asks about itself
            send(handler, b"", 404)
            return True
        self.asked.append((handler.command, path, handler.headers["Authorization"]))
        if handler.command == "HEAD":
            send(handler, b"", self.statuses.pop(0) if self.statuses else 200, **self.told)
        else:
            send(handler, b"", 302, Location=f"/store{path}")
        return True


@pytest.fixture
def hub(files, monkeypatch):
    hub = Hub(files)
    monkeypatch.setattr(BTMRI, "archive", f"https://huggingface.co{REPO}/resolve/main/BTMRI.zip")
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_user")
    files.before = hub
    with as_hub(files.place, MIRROR):
        yield hub


def test_an_archive_comes_from_the_mirror_at_the_commit_that_it_names(hub, root, tmp_path):
    assert run(root) == 0
    assert_ready(root, tmp_path / "source")
    assert hub.asked == [
        ("HEAD", f"{REPO}/resolve/main/BTMRI.zip", None),
        ("GET", f"{REPO}/resolve/{COMMIT}/BTMRI.zip", None),
    ], "no token of the user's is sent"
    assert json.loads((root / "BTMRI" / "download.json").read_text())["source"] == ADDRESS
    note = json.loads((root / "BTMRI.zip.json").read_text())
    assert note["sha256"] == hashlib.sha256(hub.files.content).hexdigest() and note["bytes"] == len(hub.files.content)


def test_a_second_call_goes_on_where_the_first_stopped(hub, files, root, tmp_path):
    files.script = [{"cut": 3000}] + [{"status": 500}] * (fetch.ATTEMPTS - 1)
    assert run(root) == 1
    kept = (root / "BTMRI.zip.part").stat().st_size
    assert 2500 <= kept <= 3000
    assert run(root) == 0
    assert files.ranges[-1] == f"bytes={kept}-"
    assert_ready(root, tmp_path / "source")


def test_what_came_of_another_commit_is_not_continued(hub, files, root, tmp_path):
    files.script = [{"cut": 3000}] + [{"status": 500}] * (fetch.ATTEMPTS - 1)
    assert run(root) == 1
    hub.told["X_Repo_Commit"] = COMMIT[::-1]
    assert run(root) == 0
    assert files.ranges[-1] is None
    assert_ready(root, tmp_path / "source")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"X_Linked_Size": 12345}, "bytes, but the hub says that it has 12345"),
        ({"X_Linked_Etag": f'"{"0" * 64}"'}, f"came with another SHA-256 than {'0' * 64}, which its server tells"),
    ],
)
def test_another_size_or_sum_than_the_hub_tells(hub, root, capsys, told, sentence):
    hub.told |= told
    assert run(root) == 1
    assert sentence in said(capsys)
    assert not (root / "BTMRI.zip").exists() and not (root / "BTMRI.zip.part").exists()
    assert_untouched(root)


def test_an_archive_beyond_the_limit_is_not_asked_for(hub, root, monkeypatch, capsys):
    monkeypatch.setattr(BTMRI, "archive_mb", 1)
    hub.told["X_Linked_Size"] = 2_000_000
    assert run(root) == 1
    assert "has 2.00MB, but 1.25MB are the most that it may have" in said(capsys)
    assert [command for command, *_ in hub.asked] == ["HEAD"]


def test_the_hub_is_asked_again_after_what_may_pass(hub, root, tmp_path):
    hub.statuses = [503, 429]
    assert run(root) == 0
    assert [command for command, *_ in hub.asked] == ["HEAD"] * 3 + ["GET"]
    assert_ready(root, tmp_path / "source")


def test_a_file_that_the_hub_does_not_have_is_sought_on_drive(hub, files, root, monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "DRIVE", f"{MIRROR}/store?id=")
    hub.statuses = [404]
    assert run(root) == 0
    assert [command for command, *_ in hub.asked] == ["HEAD"]
    assert json.loads((root / "BTMRI" / "download.json").read_text())["source"].startswith(f"{MIRROR}/store?id=")
    assert_ready(root, tmp_path / "source")


def test_offline_nobody_is_asked(hub, files, root, monkeypatch, capsys):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert run(root) == 1
    text = said(capsys)
    assert "HF_HUB_OFFLINE is set" in text and f"put it into {root}" in text and "drive" not in text
    assert not hub.asked and not files.ranges


def test_a_mirror_must_be_of_https(hub, root, monkeypatch, capsys):
    address = "http://mirror.test/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
    monkeypatch.setattr(constants, "ENDPOINT", "http://mirror.test")
    assert run(root) == 1
    assert f"http://mirror.test{REPO}/resolve/main/BTMRI.zip is no address of https: correct HF_ENDPOINT" in said(
        capsys
    )
    assert not hub.asked
