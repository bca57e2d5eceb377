"""The feature store: features of images, their views and texts, computed once and kept on disk."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from clip.backbone import Backbone
from clip.digests import Digests, content_digest, store_root
from clip.encoding import Block, Waiting, in_batches, in_blocks
from clip.row_store import RowStore
from clip.speed.malloc import give_back_memory
from clip.store import note_name
from clip.views import Failures, Notes, WantedFile, decoding_digest, load_views
from dassl.console import tell
from dassl.images import FILE_BYTES, NOTES, Reading
from dassl.progress import bar

KEEP_EVERY = 512  # images between two writes: a killed run loses no more
FEW = 256  # images that are encoded without worker processes
WORTH_A_LINE = 5  # seconds of encoding after which a line is printed
Rows = dict[bytes, np.ndarray]  # features [D] by key


class Asked(NamedTuple):
    """A view of an image that is asked for."""

    key: bytes
    path: str
    digest: bytes  # of the file's content
    view: int | None  # None for the transform without chance


class FeatureStore:
    """Unit features of a backbone, kept by content: the same image under another path is the same image.

    Images are kept under (backbone fingerprint, transform, reading, code that decodes and draws, digest of the file's
    content, view), texts under (fingerprint, text). Several processes may use a store at once.

    Args:
        backbone: computes the features.
        root: folder; by default `$VMFCOOP_CACHE`, or the user's cache folder.
        batch_size: images encoded at once; by default 4 on a CPU, where more only take memory, and 64 on a GPU.
        workers: processes that decode images if there are many.
        reading: how image files are decoded.

    Attributes:
        seconds: spent so far on what was not in the store: decoding, encoding and writing it.
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
        note_name(self.folder, backbone.name)
        self.tables: dict[str, RowStore] = {}
        self.seconds = 0.0
        self.said: set[str] = set()  # notes about images that were printed already

    def images(
        self,
        paths: Sequence[str | Path],
        transform: Callable | None = None,
        view: int | Sequence[int] | None = None,
        skip: dict[str, str] | None = None,
    ) -> Tensor:
        """Return features [N, D] of image files, float32 on the CPU.

        Args:
            paths: N files.
            transform: from a PIL image to pixels [3, H, W], by default `backbone.preprocess`; its `repr` must contain
                all of its settings.
            view: None for a transform without chance. For a random one a number, or one per file: its random numbers
                follow from the file's content and this number alone.
            skip: receives, by path, what is wrong with a file that is missing or cannot be read; the features are those
                of the others. Without it such a file raises an error.

        Raises:
            UserError: an image is missing, unreadable or truncated; names it.
            UserError: no room on the disk or in shared memory; says what to do.
        """
        transform = self.backbone.preprocess if transform is None else transform
        views = [view] * len(paths) if view is None or isinstance(view, int) else list(view)
        digests = self.digests.of_all(paths, FILE_BYTES, skip)
        asked = [
            Asked(_view_key(digest, number), str(path), digest, number)
            for path, digest, number in zip(paths, digests, views, strict=True)
            if digest  # of a file that can be opened
        ]
        read = repr(self.reading).encode() + b"\0" + decoding_digest()
        table = self._table("images-" + content_digest(repr(transform).encode() + b"\0" + read).hex()[:16])
        rows = _rows(table, [each.key for each in asked])
        notes: Notes = {}
        failures: Failures | None = None if skip is None else {}
        if files := _wanted_files(rows, asked):
            # It ends the workers if a write fails.
            with self._timed(), closing(self._encode(files, transform, notes, failures)) as blocks:
                for new, block in blocks:
                    table.put(new, block)
                    rows.update(zip(new, block, strict=True))
        self._print_notes("notes-" + content_digest(read).hex()[:16], notes, {each.digest for each in asked})
        if skip is not None and failures:
            named = {file.digest: file.path for file in files}  # of files of one content, the one that the error names
            bad = [each for each in asked if each.digest in failures]
            skip |= {each.path: failures[each.digest].replace(named[each.digest], each.path) for each in bad}
            asked = [each for each in asked if each.digest not in failures]
        return _stack(rows, [each.key for each in asked]) if asked else torch.zeros(0, self.backbone.embed_dim)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return features [N, D] of texts, float32 on the CPU."""
        keys = [content_digest(text.encode()) for text in texts]
        table = self._table("texts")
        rows = _rows(table, keys)
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if key not in rows}
        if wanted:
            with self._timed():
                fresh = self.backbone.encode_text(list(wanted.values())).float().cpu().numpy()
                table.put(list(wanted), fresh)
            rows.update(zip(wanted, fresh, strict=True))
        return _stack(rows, keys)

    def vocabulary(self) -> Tensor:
        """Return features [V, D] of each vocabulary token as a text of its own, float32 on the CPU."""
        table = RowStore(self.folder / "vocabulary")  # large, and used once: not kept in memory
        keys = [number.to_bytes(4, "little") for number in self.backbone.vocabulary_ids().tolist()]
        rows = _rows(table, keys)
        if len(rows) < len(keys):
            with self._timed():
                fresh = self.backbone.encode_vocabulary().float().cpu().numpy()
                table.put(keys, fresh)
            rows = dict(zip(keys, fresh, strict=True))
        return _stack(rows, keys)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the time that the body takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - began

    def _table(self, name: str) -> RowStore:
        """Return the table of this name, opened once."""
        return self.tables.setdefault(name, RowStore(self.folder / name))

    def _encode(
        self, files: list[WantedFile], transform: Callable, notes: Notes, failures: Failures | None
    ) -> Generator[Block, None, None]:
        """Yield keys and features of the views of `files`, in blocks worth a write; fill `notes` and `failures`."""
        give_back_memory()
        total = sum(len(file.views) for file in files)
        workers = self.workers if total > FEW else 0
        items = load_views(
            files, transform, workers, self.backbone.image_size, self.batch_size, self.reading, notes, failures
        )
        batches = Waiting(in_batches(items, min(self.batch_size, total)))
        with closing(items), bar(total=total, desc="Encoding images", unit="image", delay=3) as shown:
            yield from in_blocks(self._encoded(batches, shown), KEEP_EVERY)
        if (seconds := batches.elapsed) > WORTH_A_LINE:
            share = batches.seconds / seconds
            hint = ": a faster disk or more workers (DATALOADER.NUM_WORKERS in a run) would help" if share > 0.5 else ""
            tell(f"Encoded {total} images of {len(files)} files in {seconds:.0f} s, {share:.0%} waiting{hint}")

    def _encoded(self, batches: Waiting, shown: tqdm) -> Generator[Block, None, None]:
        """Yield keys and features of each batch of pixels; move the progress bar."""
        for keys, pixels in batches:
            features = self.backbone.encode_image(pixels).float().cpu().numpy()
            shown.update(len(pixels))
            yield keys, features

    def _print_notes(self, name: str, found: Notes, digests: set[bytes]) -> None:
        """Print each note of the reader about the given files, unless it was printed before.

        Args:
            name: of the table of notes about all files so far: rows of 0 and 1 in the order of `NOTES`.
            found: new notes.
            digests: of the contents of all files that are used.
        """
        if not found and not (self.folder / name).is_dir():
            return
        table = self._table(name)
        if found:
            rows = [[note in notes for note in NOTES] for notes in found.values()]
            table.put(list(found), np.array(rows, np.float32))
        known = _rows(table, list(digests)).values()
        for number, (note, words) in enumerate(NOTES.items()):
            if note not in self.said and any(row[number] for row in known):
                self.said.add(note)
                tell(f"{words}.")


def _view_key(digest: bytes, number: int | None) -> bytes:
    """Return the key of a view of the content that has this digest; None stands for the transform without chance."""
    return digest + (-1 if number is None else number).to_bytes(4, "little", signed=True)


def _rows(table: RowStore, keys: Sequence[bytes]) -> Rows:
    """Return the rows that the table has, by key."""
    return {key: row for key, row in zip(keys, table.get(keys), strict=True) if row is not None}


def _stack(rows: Mapping[bytes, np.ndarray], keys: Sequence[bytes]) -> Tensor:
    """Return the rows [D] of the keys as one tensor [N, D]."""
    return torch.from_numpy(np.stack([rows[key] for key in keys]))


def _wanted_files(known: Rows, asked: Iterable[Asked]) -> list[WantedFile]:
    """Return a file for each content of which a view is missing, with the missing views.

    Args:
        known: rows that are there, by key.
        asked: the views.
    """
    files: dict[bytes, tuple[str, dict[bytes, int | None]]] = {}
    for key, path, digest, number in asked:
        if key not in known:
            files.setdefault(digest, (path, {}))[1][key] = number
    return [WantedFile(path, digest, views) for digest, (path, views) in files.items()]
