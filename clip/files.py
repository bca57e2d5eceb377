"""Find the files of a model: in a folder, in the cache of the Hugging Face hub, and only then on the hub itself."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dassl.errors import UserError

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
REVISION = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json")


class Folder:
    """A folder in the layout of a hub repository.

    Attributes:
        revision: commit of the hub repository that files were taken from; None for a folder.

    Raises:
        UserError: there is no such folder.
    """

    revision: str | None = None

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            raise UserError(
                f"Expected the model folder {self.path}, but there is none: give local-dir: followed by the "
                "folder that holds open_clip_config.json."
            )

    def find(self, names: Iterable[str]) -> Path | None:
        """Return the path of the first of `names` that exists; None if there is none."""
        return next((self.path / name for name in names if (self.path / name).is_file()), None)

    def need(self, *names: str) -> Path:
        """Return the path of the first of `names` that exists.

        Raises:
            UserError: none exists; says how to bring one.
        """
        found = self.find(names)
        if found is None:
            held = ", ".join(sorted(p.name for p in self.path.iterdir())[:12]) or "nothing"
            raise UserError(
                f"Expected {' or '.join(names)} in {self.path}, but it holds {held}: copy the missing file there from "
                "the model's page on the hub."
            )
        return found

    def find_here(self, names: Iterable[str]) -> Path | None:
        """Return the path of the first of `names` that is on this machine, without use of the network."""
        return self.find(names)


class HubRepo(Folder):
    """A repository of the Hugging Face hub; files that are not in the local cache are downloaded.

    Args:
        repo: `org/model`, or `org/model@revision` for a commit, a tag or a branch. After the first file, all others
            are taken from the same commit.

    Raises:
        UserError: the revision is none.
    """

    def __init__(self, repo: str):
        self.repo, _, asked = repo.partition("@")
        self.revision = asked or None
        if asked and not (REVISION.fullmatch(asked) and ".." not in asked):
            raise UserError(f'Expected a commit, tag or branch after the @ of a backbone, but got "{asked[:60]}".')

    def _fetch(self, name: str, **options: Any) -> Path:
        """Return the path of a file in the cache, and note its commit."""
        from huggingface_hub import hf_hub_download

        path = Path(hf_hub_download(self.repo, name, revision=self.revision, **options))
        self.revision = path.parent.name  # snapshots/<commit>/<name>
        return path

    def find(self, names: Iterable[str]) -> Path | None:
        """Return the path of the first of `names` in the cache, else on the hub; None if there is none."""
        names = list(names)
        if (found := self.find_here(names)) is not None:
            return found
        for name in names:
            try:
                return self._fetch(name)
            except Exception as error:  # no such file, offline, no such repository: all mean "not found"
                self.reason = error
        return None

    def find_here(self, names: Iterable[str]) -> Path | None:
        """Return the path of the first of `names` in the cache; None if there is none."""
        for name in names:
            with contextlib.suppress(Exception):
                return self._fetch(name, local_files_only=True)
        return None

    def need(self, *names: str) -> Path:
        """Return the path of the first of `names` in the cache or on the hub.

        Raises:
            UserError: it cannot be had; says how to bring it.
        """
        from huggingface_hub import constants

        found = self.find(names)
        if found is None:
            folder = self.repo.rsplit("/", 1)[-1]
            words = f"{self.repo} --revision {self.revision}" if self.revision else self.repo
            raise UserError(
                f"Expected {' or '.join(names)} of {self.repo} in the cache {constants.HF_HUB_CACHE} or on the hub, "
                f"but it could not be had ({type(self.reason).__name__}): on a machine with network run `hf download "
                f"{words} --local-dir {folder}`, copy the folder here, and give local-dir:/path/to/{folder} as the "
                "backbone."
            )
        return found


def locate(name: str) -> Folder:
    """Return the place of a model's files, given as `local-dir:/path` or `hf-hub:org/model[@revision]`."""
    scheme, _, rest = name.partition(":")
    return Folder(rest) if scheme == "local-dir" else HubRepo(rest)


def weights_folder(short_name: str) -> str | None:
    """Return `local-dir:` and the path of the folder `$VMFCOOP_WEIGHTS/<short_name>`; None if there is none."""
    root = os.environ.get("VMFCOOP_WEIGHTS")
    path = Path(root).expanduser() / short_name if root else None
    return f"local-dir:{path}" if path and path.is_dir() else None
