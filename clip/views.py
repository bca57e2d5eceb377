"""Views of image files: pictures under a random transform whose random numbers follow from content and view number."""

import inspect
import random
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
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
from dassl.errors import UserError
from dassl.images import Reading, notes_of, read_image

SHARED_BYTES = 48 * 10**6  # pixels on their way between processes: Docker gives a container 64 MB of shared memory
MOST_VIEWS = 32  # in one item: larger items do not travel faster
PATIENCE = 600  # seconds for an item, after which the workers are taken for dead
# In PyTorch's errors if shared memory has run out, which may also end a worker by a bus error, or a worker was killed.
WORKERS_FAIL = ("shared memory", "No space left on device", "signal: Killed", "DataLoader timed out", "exited unexpect")

Keyed = tuple[list[bytes], Tensor]  # n keys of views, and their pixels [n, 3, H, W] or features [n, D]
Notes = dict[bytes, tuple[str, ...]]  # by digest of a file's content: what the reader notes about it
Failures = dict[bytes, str]  # by digest of a file's content: why it cannot be read


class WantedFile(NamedTuple):
    """A file, and the views of it that are wanted."""

    path: str
    digest: bytes  # of its content
    views: Mapping[bytes, int | None]  # number by key of each view; None stands for the transform without chance


class Decoded(NamedTuple):
    """What a process sends at once."""

    keys: list[bytes]  # of n views
    pixels: Tensor  # [n, 3, H, W]
    notes: Notes
    failures: Failures


class ImageViews(IterableDataset):
    """Yield views of files, with notes about these; each file is decoded once.

    Of k worker processes each takes every k-th file, so the order of the views depends on the number of processes.

    Args:
        files: the wanted files.
        transform: from a PIL image to pixels [3, H, W].
        views_per_item: n; the last item of each process may have fewer.
        reading: how the files are decoded.
        skip: say which files cannot be read, instead of raising an error.
    """

    def __init__(
        self,
        files: Sequence[WantedFile],
        transform: Callable,
        views_per_item: int,
        reading: Reading,
        skip: bool = False,
    ):
        self.files, self.transform, self.views_per_item = files, transform, views_per_item
        self.reading, self.skip = reading, skip

    def __iter__(self) -> Iterator[Decoded]:
        """Yield the items of this process."""
        worker = get_worker_info()
        keys: list[bytes] = []
        notes: Notes = {}
        failures: Failures = {}
        pixels = torch.empty(0)
        for path, digest, views in self.files[worker.id :: worker.num_workers] if worker else self.files:
            try:
                image = read_image(path, self.reading)
            except UserError as error:
                if not self.skip:
                    raise
                failures[digest] = str(error)
                continue
            if found := notes_of(image):
                notes[digest] = found
            for key, number in views.items():
                drawn = _view(image, self.transform, digest, number)
                if not keys:
                    pixels = drawn.new_empty(self.views_per_item, *drawn.shape)
                pixels[len(keys)] = drawn  # filled one by one: a list and its stack take twice the memory
                keys.append(key)
                if len(keys) == self.views_per_item:
                    ready = [Decoded(keys, self._sent(pixels, worker), notes, failures)]
                    keys, pixels, notes, failures = [], torch.empty(0), {}, {}
                    yield ready.pop()  # so that this process holds no second reference to pixels that are sent
        if keys or failures:
            yield Decoded(keys, self._sent(pixels[: len(keys)], worker), notes, failures)

    def _sent(self, pixels: Tensor, worker: object) -> Tensor:
        """Move pixels to shared memory in a worker process, where a failure is an error that reaches the receiver.

        PyTorch would move them in a thread, which prints the error and loses the item, and the receiver would wait.
        """
        if worker:
            with explain_worker_failures():
                return pixels.clone().share_memory_() if len(pixels) < self.views_per_item else pixels.share_memory_()
        return pixels


def load_views(
    files: Sequence[WantedFile],
    transform: Callable,
    workers: int,
    size: int,
    batch: int,
    reading: Reading = Reading(),  # noqa: B008 - it cannot be changed
    notes: Notes | None = None,
    failures: Failures | None = None,
) -> Generator[Keyed, None, None]:
    """Yield keys and pixels of the items of `ImageViews`, made by worker processes unless `workers` is 0.

    Args:
        files: the wanted files.
        transform: from a PIL image to pixels [3, size, size].
        workers: largest number of processes that decode.
        size: side of the images in pixels.
        batch: views in an item if there are no worker processes.
        reading: how the files are decoded.
        notes: a dictionary that receives the reader's notes.
        failures: a dictionary that receives the files that cannot be read; without it they raise an error.

    Raises:
        UserError: a file cannot be read, and there are no `failures`.
        UserError: shared memory has run out, or a worker was killed.
    """
    plan = plan_decoding(workers, 3 * size * size * 4)

    def received(item: Decoded) -> Keyed:
        if notes is not None:
            notes.update(item.notes)
        if failures is not None:
            failures.update(item.failures)
        return item.keys, item.pixels

    items = ImageViews(files, transform, plan.views if plan.workers else batch, reading, failures is not None)
    settings: dict = {"num_workers": plan.workers, "prefetch_factor": plan.ahead, "timeout": PATIENCE}
    own = torch.Generator()  # a loader draws a seed, which must not be one of the caller's random numbers
    with explain_worker_failures():
        loader = DataLoader(items, batch_size=None, generator=own, **(settings if plan.workers else {}))
        yield from (keyed for keyed in map(received, loader) if keyed[0])


class Plan(NamedTuple):
    """Numbers of processes, items and views for decoding."""

    workers: int  # processes; with 0 the caller's own process decodes
    ahead: int  # items that each process makes before they are asked for
    views: int  # in an item


def plan_decoding(workers: int, view_bytes: int) -> Plan:
    """Return a plan for at most `workers` processes by which all pixels on their way fit into `SHARED_BYTES`.

    On their way are the items made ahead, one item that has arrived, and the next one while that is released.

    Args:
        workers: largest number of processes.
        view_bytes: size of the pixels of a view in bytes.

    Example:
        >>> plan_decoding(workers=8, view_bytes=3 * 224 * 224 * 4)
        Plan(workers=8, ahead=2, views=4)
        >>> plan_decoding(workers=8, view_bytes=3 * 4000 * 4000 * 4)  # too large to be sent
        Plan(workers=0, ahead=1, views=0)
    """
    room = SHARED_BYTES // view_bytes  # views
    workers = max(0, min(workers, room - 2))
    ahead = 2 if room // (2 * workers + 2) >= 4 else 1
    return Plan(workers, ahead, min(MOST_VIEWS, room // (ahead * workers + 2)))


@contextmanager
def explain_worker_failures() -> Iterator[None]:
    """Raise a UserError in place of PyTorch's errors about worker processes that die or have no shared memory."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        if not any(sign in str(error) for sign in WORKERS_FAIL):
            raise
        words = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"Expected shared memory for the processes that decode images, but got: {words}: give the container more "
            "(docker run --shm-size 1g), or decode without processes (workers=0; DATALOADER.NUM_WORKERS 0 in a run)."
        ) from error


def decoding_digest() -> bytes:
    """Return a digest of the code on which the pixels of a view depend: the reader's package, and `_view`."""
    return content_digest(_source(read_image))


@lru_cache  # the code that runs is the code at the first call, even if a file is edited meanwhile
def _source(reader: Callable) -> bytes:
    """Return the source of the reader's package and of `_view`; line endings are \\n, whatever the files have."""
    try:
        file = Path(inspect.getfile(reader))
        files = sorted(file.parent.glob("*.py")) if reader.__globals__.get("__package__") else [file]
        modules = [path.read_text(encoding="utf-8") for path in files]
        return "\0".join([*modules, inspect.getsource(reader), inspect.getsource(_view)]).encode()
    except (OSError, TypeError):  # a program without its source, or a callable object: tell apart within the process
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
