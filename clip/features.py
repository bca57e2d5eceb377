"""The feature store: what a frozen tower makes of an image, a view of it, or a text, computed once and kept on disk."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from clip.backbone import Backbone
from clip.digests import Digests, content_digest, store_root
from clip.memory import give_back_memory
from clip.pixels import FILE_BYTES, NOTES, Reading
from clip.row_store import RowStore
from clip.views import File, Notes, drawn_by, load

KEEP_EVERY = 512  # images between two writes: a killed run loses no more
FEW = 256  # images that are encoded without worker processes
WORTH_A_LINE = 5  # seconds of encoding that the log has a line about
Blocks = Generator[tuple[list[bytes], np.ndarray], None, None]


class FeatureStore:
    """Unit features of a backbone, by content: the same image under another path is the same image.

    Images are kept under (backbone fingerprint, transform, how files are read, code that decodes and draws, digest of
    the file's content, view), texts under (fingerprint, text). Several processes may use one store at once.

    Args:
        backbone: whose features.
        root: folder; by default `$VMFCOOP_CACHE`, or the user's cache folder.
        batch_size: images encoded at once; by default 4 on a CPU, where more only take memory, and 64 on a GPU.
        workers: processes that decode images when there are many.
        reading: how image files are read.
    """

    def __init__(
        self,
        backbone: Backbone,
        root: str | Path | None = None,
        batch_size: int = 0,
        workers: int = 0,
        reading: Reading = Reading(),  # noqa: B008 - it cannot be changed
    ):
        self.backbone, self.workers, self.reading = backbone, workers, reading
        self.batch_size = batch_size or (4 if backbone.device.type == "cpu" else 64)
        self.root = store_root(root)
        self.digests = Digests(root)
        self.folder = self.root / backbone.fingerprint()
        self.tables: dict[str, RowStore] = {}
        self.said: set[str] = set()  # notes about images that the user was told

    def images(self, paths: Sequence[str], transform: Callable, view: int | Sequence[int] | None = None) -> Tensor:
        """Features [N, D] of image files, float32 on the CPU.

        Args:
            paths: N files.
            transform: from a PIL image to pixels [3, H, W]; its `repr` must say all that it does.
            view: None for a transform without chance. A number, or one per file, for a random one: its random numbers
                follow from the file's content and this number alone.

        Raises:
            UserError: a missing, unreadable or truncated image; names it.
            UserError: no room, on the disk or in the memory that worker processes share; says what to do.
        """
        views = [view] * len(paths) if view is None or isinstance(view, int) else list(view)
        digests = self.digests.of_all(paths, FILE_BYTES)
        keys = [
            d + (-1 if v is None else v).to_bytes(4, "little", signed=True) for d, v in zip(digests, views, strict=True)
        ]
        read = repr(self.reading).encode() + b"\0" + drawn_by()
        table = self._table("images-" + content_digest(repr(transform).encode() + b"\0" + read).hex()[:16])
        rows = dict(zip(keys, table.get(keys), strict=True))
        wanted: dict[bytes, tuple[str, dict]] = {}  # by content: a path that has it, and number by key of each view
        for key, path, d, v in zip(keys, paths, digests, views, strict=True):
            if rows[key] is None:
                wanted.setdefault(d, (str(path), {}))[1][key] = v
        files = [File(path, d, list(numbers.items())) for d, (path, numbers) in wanted.items()]
        notes: Notes = {}
        if files:
            with closing(self._encode(files, transform, notes)) as blocks:  # workers go if a block cannot be kept
                for names, block in blocks:
                    table.put(names, block)
                    rows.update(zip(names, block, strict=True))
        self._tell("notes-" + content_digest(read).hex()[:16], notes, set(digests))
        return torch.from_numpy(np.stack([rows[key] for key in keys]))

    def _tell(self, name: str, found: Notes, digests: set[bytes]) -> None:
        """Print, once each, what the reader notes about the files that have these digests.

        Args:
            name: of the table of what was noted of files so far: rows of 0 and 1 in the order of `NOTES`.
            found: what was noted now.
            digests: of all files that are used.
        """
        if not found and not (self.folder / name).is_dir():
            return
        table = self._table(name)
        if found:
            rows = [[note in notes for note in NOTES] for notes in found.values()]
            table.put(list(found), np.array(rows, np.float32))
        known = [row for row in table.get(list(digests)) if row is not None]
        for number, (note, words) in enumerate(NOTES.items()):
            if note not in self.said and any(row[number] for row in known):
                self.said.add(note)
                print(f"{words}.")

    def _encode(self, files: list[File], transform: Callable, notes: Notes) -> Blocks:
        """Names and features of the views of `files`, in blocks that are worth a write; fills `notes`."""
        give_back_memory()
        total = sum(len(file.views) for file in files)
        workers = self.workers if total > FEW else 0
        items = load(files, transform, workers, self.backbone.image_size, self.batch_size, self.reading, notes)
        names, features, waited, began = [], [], 0.0, time.monotonic()
        batches = _in_batches(items, min(self.batch_size, total))
        with closing(items), tqdm(total=total, desc="Encoding images", unit="image", delay=3, leave=False) as bar:
            while True:
                asked = time.monotonic()
                found = next(batches, None)
                waited += time.monotonic() - asked
                if found is not None:
                    names += found[0]
                    features.append(self.backbone.encode_image(found[1]).float().cpu().numpy())
                    bar.update(len(found[1]))
                if names and (found is None or len(names) >= KEEP_EVERY):
                    yield names, np.concatenate(features)
                    names, features = [], []
                if found is None:
                    break
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
        table = RowStore(self.folder / "vocabulary")  # large, and wanted once: not kept in memory
        ids = self.backbone.vocabulary_ids().tolist()
        keys = [i.to_bytes(4, "little") for i in ids]
        rows = table.get(keys)
        if any(row is None for row in rows):
            rows = self.backbone.encode_vocabulary().float().cpu().numpy()
            table.put(keys, rows)
        return torch.from_numpy(np.stack(list(rows)))

    def _table(self, name: str) -> RowStore:
        return self.tables.setdefault(name, RowStore(self.folder / name))


def _in_batches(items: Iterator[tuple[list[bytes], Tensor]], size: int) -> Iterator[tuple[list[bytes], Tensor]]:
    """Regroup names and pixels [n, 3, H, W] into batches of `size`; the last may be smaller."""
    names: list[bytes] = []
    for item_names, item in items:
        if not names and len(item) == size:
            yield item_names, item
            continue
        while len(item):
            if not names:
                batch = item.new_empty(size, *item.shape[1:])
            part = item[: size - len(names)]
            batch[len(names) : len(names) + len(part)] = part
            names += item_names[: len(part)]
            item, item_names = item[len(part) :], item_names[len(part) :]
            if len(names) == size:
                yield names, batch
                names = []
    if names:
        yield names, batch[: len(names)]
