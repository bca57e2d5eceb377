"""Find the files of a model: in a folder, in the cache of the Hugging Face hub, and only then on the hub itself."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from dassl.errors import UserError

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
DATASETS = "datasets/"  # before the name of a repository of data
REVISION = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
TOKENIZER = ("tokenizer.json", "vocab.txt", "vocab.json")


class Folder:
    """A folder in the layout of a hub repository, or one file of weights and what lies beside it.

    Attributes:
        revision: commit of the hub repository that files were taken from; None for a folder.
        chosen: name of the file of weights, if the path is that of a file.

    Raises:
        UserError: there is no such folder or file.
    """

    revision: str | None = None
    chosen: str | None = None

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        if self.path.is_file():
            self.path, self.chosen = self.path.parent, self.path.name
        if not self.path.is_dir():
            raise UserError(
                f"Expected the model folder {self.path}, but there is none: give local-dir: followed by the "
                "folder that holds the model's files, or by its file of weights."
            )

    def weights(self, names: Iterable[str]) -> str | None:
        """Return the first of `names` that is here, or that was chosen if one was; None if there is none."""
        if self.chosen:
            return self.chosen if self.chosen in names else None
        return next((name for name in names if self.find_here([name])), None)

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


def hub_cache() -> Path:
    """Return the folder in which the Hugging Face hub's library keeps files."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


class HubRepo(Folder):
    """A repository of the Hugging Face hub; files that are not in the local cache are downloaded.

    Args:
        repo: `org/model`, or `org/model@revision` for a commit, a tag or a branch. After the first file, all others
            are taken from the same commit. `datasets/org/name` is a repository of data, which may hold weights too.

    Raises:
        UserError: the revision is none.
    """

    def __init__(self, repo: str):
        name, _, asked = repo.partition("@")
        self.kind = "dataset" if name.startswith(DATASETS) else None
        self.repo, self.reached = name.removeprefix(DATASETS), True
        self.revision = asked or None
        if asked and not (REVISION.fullmatch(asked) and ".." not in asked):
            raise UserError(f'Expected a commit, tag or branch after the @ of a backbone, but got "{asked[:60]}".')

    @property
    def cache(self) -> Path:
        """The repository's folder in the local cache, which need not exist."""
        return hub_cache() / f"{self.kind or 'model'}s--{self.repo.replace('/', '--')}"

    def _fetch(self, name: str) -> Path:
        """Download a file, and return its path in the cache; a hub that cannot be reached is asked once."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        # A download would repeat its question for half a minute.
        get_hf_file_metadata(hf_hub_url(self.repo, name, revision=self.revision, repo_type=self.kind))
        return self._noted(hf_hub_download(self.repo, name, revision=self.revision, repo_type=self.kind), name)

    def _noted(self, found: str, name: str) -> Path:
        """Return the path of the file `name` in the cache, and note its commit."""
        path = Path(found)
        self.revision = path.parents[name.count("/")].name  # snapshots/<commit>/<name>
        return path

    def find(self, names: Iterable[str]) -> Path | None:
        """Return the path of the first of `names` in the cache, else on the hub; None if there is none."""
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        names = list(names)
        if (found := self.find_here(names)) is not None:
            return found
        for name in names if self.reached else ():
            try:
                return self._fetch(name)
            except Exception as error:  # no such file, offline, no such repository: all mean "not found"
                self.reason = error
                if isinstance(error, LocalEntryNotFoundError) or not isinstance(error, EntryNotFoundError):
                    self.reached = False  # asking for other files would only take as long again
                    break
        return None

    def find_here(self, names: Iterable[str]) -> Path | None:
        """Return the path of the first of `names` in the cache; None if there is none."""
        from huggingface_hub import try_to_load_from_cache  # unlike hf_hub_download it never asks the network

        for name in names:
            with contextlib.suppress(Exception):  # of a name that no repository can have
                found = try_to_load_from_cache(
                    self.repo, name, cache_dir=hub_cache(), revision=self.revision, repo_type=self.kind
                )
                if isinstance(found, str):
                    return self._noted(found, name)
        return None

    def need(self, *names: str) -> Path:
        """Return the path of the first of `names` in the cache or on the hub.

        Raises:
            UserError: it cannot be had; says how to bring it.
        """
        found = self.find(names)
        if found is None:
            folder = self.repo.rsplit("/", 1)[-1]
            words = f"{self.repo} --revision {self.revision}" if self.revision else self.repo
            if self.kind:  # of its data nothing is needed
                words += f" --repo-type {self.kind} --include '*{Path(names[0]).suffix}'"
            raise UserError(
                f"Expected {' or '.join(names)} of {self.repo} in the cache {hub_cache()} or on the hub, "
                f"but it could not be had ({type(self.reason).__name__}): on a machine with network run `hf download "
                f"{words} --local-dir {folder}`, copy the folder here, and give local-dir:/path/to/{folder} as the "
                "backbone."
            )
        return found


class Address(Folder):
    """A file of the web, which is never downloaded: nothing is here until someone brings it.

    Args:
        url: of the file.
    """

    def __init__(self, url: str):
        self.url = url

    def find(self, names: Iterable[str]) -> Path | None:
        """Return None."""
        return None

    def need(self, *names: str) -> Path:
        """Raise a UserError that says how to bring the file."""
        raise UserError(
            f"Expected {' or '.join(names)} of {self.url}, but this model is not on the hub: download the file "
            f"(`curl -LO {self.url}`) into a folder, and give local-dir:/path/to/folder as the backbone, or put the "
            "folder into $VMFCOOP_WEIGHTS under the short name."
        )


def locate(source: str) -> Folder:
    """Return the place of a model's files: `local-dir:/path`, `hf-hub:org/model[@revision]` or `https://...`."""
    scheme, _, rest = source.partition(":")
    if scheme == "https":
        return Address(source)
    return Folder(rest) if scheme == "local-dir" else HubRepo(rest)


def is_local(source: str) -> bool:
    """Return whether a source is a folder or a file of this machine."""
    return source.startswith("local-dir:")
