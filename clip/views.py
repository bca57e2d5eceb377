"""Views of image files: pictures under a random transform whose randomness follows from content and view number."""

import inspect
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from clip.digests import content_digest
from clip.pixels import Reading, notes_of, read_image
from dassl.errors import UserError

SHARED_BYTES = 48 * 10**6  # pixels under way between processes: Docker gives a container 64 MB of shared memory
MOST_VIEWS = 32  # in one item: more do not travel faster
PATIENCE = 600  # seconds for an item, after which the workers are taken for dead
# What PyTorch says when shared memory has run out, which may also end a worker by a bus error, or a worker was killed.
WORKERS_FAIL = ("shared memory", "No space left on device", "signal: Killed", "DataLoader timed out", "exited unexpect")


class File(NamedTuple):
    """A file of which views are wanted."""

    path: str
    digest: bytes  # of its content
    views: Sequence[tuple[bytes, int | None]]  # name and number of each view; None is the transform as it is


Notes = dict[bytes, tuple[str, ...]]


class ImageViews(IterableDataset):
    """Yields the names of some views and their pixels [n, 3, H, W], decoding each file once.

    In worker processes each takes every so-manieth file, so that the order of the views depends on their number.

    Args:
        files: what is wanted.
        transform: from a PIL image to pixels [3, H, W].
        views_per_item: n; the last item of each process may have fewer.
        reading: how the files are read.

    With each item goes what a user should be told about its files: the notes of the reader, by a file's digest.
    """

    def __init__(self, files: Sequence[File], transform: Callable, views_per_item: int, reading: Reading):
        self.files, self.transform, self.views_per_item = files, transform, views_per_item
        self.reading = reading

    def __iter__(self) -> Iterator[tuple[list[bytes], Tensor, Notes]]:
        worker = get_worker_info()
        names: list[bytes] = []
        notes: Notes = {}
        pixels = None
        for path, digest, views in self.files[worker.id :: worker.num_workers] if worker else self.files:
            image = read_image(path, self.reading)
            if found := notes_of(image):
                notes[digest] = found
            for name, view in views:
                drawn = _view(image, self.transform, digest, view)
                if pixels is None:
                    pixels = drawn.new_empty(self.views_per_item, *drawn.shape)
                pixels[len(names)] = drawn  # filled one by one: a list and its stack take twice the memory
                names.append(name)
                if len(names) == self.views_per_item:
                    ready = [(names, self._sent(pixels, worker), notes)]
                    names, pixels, notes = [], None, {}
                    yield ready.pop()  # nothing here holds what is under way
        if names:
            yield names, self._sent(pixels[: len(names)], worker), notes

    def _sent(self, pixels: Tensor, worker: object) -> Tensor:
        """Put pixels where the other process sees them: here, where failing is an error that reaches it.

        Left to the thread that sends them, an error would be printed and the item lost, and the receiver would wait.
        """
        if worker:
            with workers_fail_in_words():
                return pixels.clone().share_memory_() if len(pixels) < self.views_per_item else pixels.share_memory_()
        return pixels


def load(
    files: Sequence[File],
    transform: Callable,
    workers: int,
    size: int,
    batch: int,
    reading: Reading = Reading(),  # noqa: B008 - it cannot be changed
    notes: Notes | None = None,
) -> Generator[tuple[list[bytes], Tensor], None, None]:
    """Yield names and pixels of the items of `ImageViews`, made by worker processes if `workers` is not 0.

    Args:
        files: what is wanted.
        transform: from a PIL image to pixels [3, size, size].
        workers: the most processes that decode.
        size: of an image, in pixels.
        batch: views in an item if there are no workers.
        reading: how the files are read.
        notes: what a user should be told about files is put there.

    Raises:
        UserError: shared memory has run out all the same, or a worker was killed.
    """
    plan = under_way(workers, 3 * size * size * 4)

    def without_notes(item: tuple[list[bytes], Tensor, Notes]) -> tuple[list[bytes], Tensor]:
        if notes is not None:
            notes.update(item[2])
        return item[:2]

    items = ImageViews(files, transform, plan.views if plan.workers else batch, reading)
    settings: dict = {"num_workers": plan.workers, "prefetch_factor": plan.ahead, "timeout": PATIENCE}
    own = torch.Generator()  # a loader draws a seed, which must not be one of the caller's random numbers
    with workers_fail_in_words():
        loader = DataLoader(items, batch_size=None, generator=own, **(settings if plan.workers else {}))
        yield from map(without_notes, loader)


class Plan(NamedTuple):
    """How images are decoded."""

    workers: int  # processes; 0 is the caller's own
    ahead: int  # items that each makes before they are asked for
    views: int  # in an item


def under_way(workers: int, view_bytes: int) -> Plan:
    """Return how at most `workers` processes can decode so that all pixels under way fit into `SHARED_BYTES`.

    Under way is what is made ahead, an item that has arrived, and the next one while that is let go.
    """
    room = SHARED_BYTES // view_bytes  # views
    workers = max(0, min(workers, room - 2))
    ahead = 2 if room // (2 * workers + 2) >= 4 else 1
    return Plan(workers, ahead, min(MOST_VIEWS, room // (ahead * workers + 2)))


@contextmanager
def workers_fail_in_words() -> Iterator[None]:
    """Turn what PyTorch raises when worker processes have no shared memory, or die, into a UserError."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        if not any(sign in str(error) for sign in WORKERS_FAIL):
            raise
        words = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"Expected shared memory for the processes that decode images, but got: {words}: "
            "give the container more (docker run --shm-size 1g), or set DATALOADER.NUM_WORKERS 0."
        ) from error


def drawn_by() -> bytes:
    """Return a digest of the code that decides which pixels a view of a file has: the reader's package, and `_view`."""
    return content_digest(_source(read_image))


@lru_cache  # what runs is what was read first, even if the file is edited meanwhile
def _source(reader: Callable) -> bytes:
    try:
        # Line endings are \n here, whatever they are in the files.
        file = Path(inspect.getfile(reader))
        files = sorted(file.parent.glob("*.py")) if reader.__globals__.get("__package__") else [file]
        modules = [path.read_text(encoding="utf-8") for path in files]
        return "\0".join([*modules, inspect.getsource(reader), inspect.getsource(_view)]).encode()
    except (OSError, TypeError):  # a program without its source, or an object that is called: known while it lives
        return repr((reader, _view)).encode()


def _view(image: Image.Image, transform: Callable, digest: bytes, view: int | None) -> Tensor:
    """`transform(image)`; for a number, with random numbers that follow from the content and this number alone."""
    if view is None:
        return transform(image)
    seed = int.from_bytes(content_digest(digest + view.to_bytes(4, "little"))[:8], "little")
    python, numpy_ = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed % 2**63)  # not torch.manual_seed, which seeds the GPUs' as well
            random.seed(seed)
            np.random.seed(seed % 2**32)
            return transform(image)
    finally:
        random.setstate(python)
        np.random.set_state(numpy_)
