"""The feature store: what a frozen tower makes of an image, a view of it, or a text, computed once and kept on disk."""

import os
import random
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from platformdirs import user_cache_dir
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from clip.backbone import Backbone
from clip.pixels import read_image
from clip.shards import Shards

KEEP_EVERY = 512  # images between two writes: a killed run loses no more
FEW = 256  # images that are encoded without worker processes


class FeatureStore:
    """Unit features of a backbone, by content: the same image under another path is the same image.

    Images are kept under (backbone fingerprint, transform, digest of the file's content, view), texts under
    (fingerprint, text). Several processes may use one store at once.

    Args:
        backbone: whose features.
        root: folder; by default `$VMFCOOP_CACHE`, or the user's cache folder.
        batch_size: images encoded at once.
        workers: processes that decode images when there are many.
    """

    def __init__(self, backbone: Backbone, root: str | Path | None = None, batch_size: int = 64, workers: int = 0):
        self.backbone, self.batch_size, self.workers = backbone, batch_size, workers
        self.root = Path(root or os.environ.get("VMFCOOP_CACHE") or user_cache_dir("vmfcoop")).expanduser()
        self.folder = self.root / backbone.fingerprint()
        self.tables: dict[str, Shards] = {}

    def images(self, paths: Sequence[str], transform: Callable, view: int | Sequence[int] | None = None) -> Tensor:
        """Features [N, D] of image files, float32 on the CPU.

        Args:
            paths: N files.
            transform: from a PIL image to pixels [3, H, W]; its `repr` must say all that it does.
            view: None for a transform without chance. A number, or one per file, for a random one: its random numbers
                follow from the file's content and this number alone.

        Raises:
            OSError: an unreadable or truncated image; names it.
        """
        views = [view] * len(paths) if view is None or isinstance(view, int) else list(view)
        digests = self._digests(paths)
        keys = [
            d + (-1 if v is None else v).to_bytes(4, "little", signed=True) for d, v in zip(digests, views, strict=True)
        ]
        table = self._table("images-" + _digest(repr(transform).encode()).hex()[:16])
        rows = dict(zip(keys, table.get(keys), strict=True))
        wanted = {k: (str(p), v, d) for k, p, v, d in zip(keys, paths, views, digests, strict=True) if rows[k] is None}
        todo, encoded = list(wanted), []
        loader = self._loader(_Images(list(wanted.values()), transform))
        with tqdm(total=len(todo), desc="Encoding images", unit="image", delay=3, leave=False) as bar:
            done = 0
            for i, batch in enumerate(loader):
                encoded.append(self.backbone.encode_image(batch).float().cpu().numpy())
                bar.update(len(batch))
                if sum(map(len, encoded)) >= KEEP_EVERY or i + 1 == len(loader):
                    block = np.concatenate(encoded)
                    names, encoded = todo[done : done + len(block)], []
                    table.put(names, block)
                    rows.update(zip(names, block, strict=True))
                    done += len(block)
        return torch.from_numpy(np.stack([rows[key] for key in keys]))

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features [N, D] of texts, float32 on the CPU."""
        keys = [_digest(text.encode()) for text in texts]
        table = self._table("texts")
        rows = dict(zip(keys, table.get(keys), strict=True))
        wanted = {k: text for k, text in zip(keys, texts, strict=True) if rows[k] is None}
        if wanted:
            fresh = self.backbone.encode_text(list(wanted.values())).float().cpu().numpy()
            table.put(list(wanted), fresh)
            rows.update(zip(wanted, fresh, strict=True))
        return torch.from_numpy(np.stack([rows[key] for key in keys]))

    def vocabulary(self) -> Tensor:
        """Features [V, D] of each vocabulary token as a text of its own, float32 on the CPU."""
        table = self._table("vocabulary")
        ids = self.backbone.vocabulary_ids().tolist()
        keys = [i.to_bytes(4, "little") for i in ids]
        rows = table.get(keys)
        if any(row is None for row in rows):
            rows = self.backbone.encode_vocabulary().float().cpu().numpy()
            table.put(keys, rows)
        return torch.from_numpy(np.stack(list(rows)))

    def _table(self, name: str) -> Shards:
        return self.tables.setdefault(name, Shards(self.folder / name))

    def _loader(self, images: Dataset) -> DataLoader:
        workers = self.workers if len(images) > FEW else 0
        own = torch.Generator()  # a loader draws a seed, which must not be one of the caller's random numbers
        return DataLoader(images, batch_size=self.batch_size, num_workers=workers, generator=own)

    def _digests(self, paths: Sequence[str]) -> list[bytes]:
        """Content digests of files; a file that has not changed since is not read again."""
        memo = _Digests(self.root / "digests.tsv")
        return [memo.of(path) for path in paths]


class _Digests:
    """Path, size and time of change to content digest, in a text file that only grows."""

    known: ClassVar[dict[Path, dict[str, bytes]]] = {}  # per file, shared by the stores of a process

    def __init__(self, path: Path):
        self.path = path
        if path not in self.known:
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            pairs = (line.partition("\t") for line in lines)
            self.known[path] = {name: bytes.fromhex(value) for value, _, name in pairs if len(value) == 32 and name}
        self.memo = self.known[path]

    def of(self, file: str) -> bytes:
        stat = Path(file).stat()
        name = f"{stat.st_size} {stat.st_mtime_ns} {Path(file).absolute()}"
        if name not in self.memo:
            self.memo[name] = _digest(Path(file).read_bytes())
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as lines:  # one short line at a time: appended whole
                lines.write(f"{self.memo[name].hex()}\t{name}\n")
        return self.memo[name]


class _Images(Dataset):
    """Decoded and transformed images; `items` holds path, view and content digest."""

    def __init__(self, items: list[tuple[str, int | None, bytes]], transform: Callable):
        self.items, self.transform = items, transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Tensor:
        path, view, digest = self.items[index]
        image = read_image(path)
        return self.transform(image) if view is None else _random_view(image, self.transform, digest, view)


def _random_view(image: Image.Image, transform: Callable, digest: bytes, view: int) -> Tensor:
    """`transform(image)` with random numbers that follow from the content and the view number alone."""
    seed = int.from_bytes(_digest(digest + view.to_bytes(4, "little"))[:8], "little")
    python, numpy_ = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        pixels = transform(image)
    random.setstate(python)
    np.random.set_state(numpy_)
    return pixels


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
