"""The feature store: what a frozen tower makes of an image, a view of it, or a text, computed once and kept on disk."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from platformdirs import user_cache_dir
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from clip.backbone import Backbone
from clip.memory import give_back_memory
from clip.shards import Shards
from clip.views import ImageViews, content_digest

KEEP_EVERY = 512  # images between two writes: a killed run loses no more
FEW = 256  # images that are encoded without worker processes
WORTH_A_LINE = 5  # seconds of encoding that the log has a line about


class FeatureStore:
    """Unit features of a backbone, by content: the same image under another path is the same image.

    Images are kept under (backbone fingerprint, transform, digest of the file's content, view), texts under
    (fingerprint, text). Several processes may use one store at once.

    Args:
        backbone: whose features.
        root: folder; by default `$VMFCOOP_CACHE`, or the user's cache folder.
        batch_size: images encoded at once; by default 4 on a CPU, where more only take memory, and 64 on a GPU.
        workers: processes that decode images when there are many.
    """

    def __init__(self, backbone: Backbone, root: str | Path | None = None, batch_size: int = 0, workers: int = 0):
        self.backbone, self.workers = backbone, workers
        self.batch_size = batch_size or (4 if backbone.device.type == "cpu" else 64)
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
        table = self._table("images-" + content_digest(repr(transform).encode()).hex()[:16])
        rows = dict(zip(keys, table.get(keys), strict=True))
        files = {d: (str(path), {}) for d, path in zip(digests, paths, strict=True)}
        for key, d, v in zip(keys, digests, views, strict=True):
            if rows[key] is None:
                files[d][1][key] = v
        wanted = [(path, digest, views_of) for digest, (path, views_of) in files.items() if views_of]
        todo = [key for _, _, views_of in wanted for key in views_of]
        done = 0
        for block in self._encode([(p, d, list(v.values())) for p, d, v in wanted], transform):
            names = todo[done : done + len(block)]
            table.put(names, block)
            rows.update(zip(names, block, strict=True))
            done += len(block)
        return torch.from_numpy(np.stack([rows[key] for key in keys]))

    def _encode(self, files: list[tuple[str, bytes, list]], transform: Callable) -> Iterator[np.ndarray]:
        """Features of (path, digest, view numbers) in that order, in blocks that are worth a write."""
        give_back_memory()
        images, total = ImageViews(files, transform), sum(len(views) for _, _, views in files)
        workers = self.workers if total > FEW else 0
        own = torch.Generator()  # a loader draws a seed, which must not be one of the caller's random numbers
        loader = iter(DataLoader(images, batch_size=None, num_workers=workers, generator=own))
        pixels, features, waited, began = [], [], 0.0, time.monotonic()
        with tqdm(total=total, desc="Encoding images", unit="image", delay=3, leave=False) as bar:
            for left in range(len(images) - 1, -1, -1):
                asked = time.monotonic()
                pixels.append(next(loader))
                waited += time.monotonic() - asked
                if left and sum(map(len, pixels)) < self.batch_size:
                    continue
                for batch in (torch.cat(pixels) if len(pixels) > 1 else pixels[0]).split(self.batch_size):
                    features.append(self.backbone.encode_image(batch).float().cpu().numpy())
                    bar.update(len(batch))
                pixels = []
                if not left or sum(map(len, features)) >= KEEP_EVERY:
                    yield np.concatenate(features)
                    features = []
        seconds = time.monotonic() - began
        if seconds > WORTH_A_LINE:
            share = waited / seconds
            hint = ": a faster disk or more DATALOADER.NUM_WORKERS would help" if share > 0.5 else ""
            print(f"Encoded {total} images of {len(files)} files in {seconds:.0f} s, {share:.0%} waiting{hint}")

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Features [N, D] of texts, float32 on the CPU."""
        keys = [content_digest(text.encode()) for text in texts]
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
        table = Shards(self.folder / "vocabulary")  # large, and wanted once: not kept in memory
        ids = self.backbone.vocabulary_ids().tolist()
        keys = [i.to_bytes(4, "little") for i in ids]
        rows = table.get(keys)
        if any(row is None for row in rows):
            rows = self.backbone.encode_vocabulary().float().cpu().numpy()
            table.put(keys, rows)
        return torch.from_numpy(np.stack(list(rows)))

    def _table(self, name: str) -> Shards:
        return self.tables.setdefault(name, Shards(self.folder / name))

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
            self.memo[name] = content_digest(Path(file).read_bytes())
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as lines:  # one short line at a time: appended whole
                lines.write(f"{self.memo[name].hex()}\t{name}\n")
        return self.memo[name]
