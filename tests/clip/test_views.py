"""Views have the same pixels in every process, fit into shared memory, and failures of processes become errors."""

import importlib.util
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clip import views
from clip.digests import content_digest
from clip.views import SHARED_BYTES, WantedFile, load_views, plan_decoding
from dassl.errors import UserError
from tests.clip.counting import Noise

SIZE = 8
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than processors


@pytest.fixture
def files(tmp_path) -> list[WantedFile]:
    """Seven files of one to seven views each."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(7):
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(path)
        wanted = {b"%d %d" % (i, view): view for view in range(i + 1)}
        made.append(WantedFile(str(path), content_digest(path.read_bytes()), wanted))
    return made


def drawn(files: list[WantedFile], workers: int, transform=None, batch: int = 5) -> list[tuple[bytes, torch.Tensor]]:
    items = list(load_views(files, transform or Noise(), workers, SIZE, batch))
    assert all(len(names) == len(pixels) for names, pixels in items)
    return [(name, row) for names, pixels in items for name, row in zip(names, pixels.clone(), strict=True)]


@pytest.mark.parametrize("size", [96, 224, 336, 448, 1024, 1100])
@pytest.mark.parametrize("workers", [1, 2, 4, 8, 16, 64, 200])
def test_what_is_under_way_fits_into_the_shared_memory_of_a_container(size, workers):
    view = 3 * size * size * 4
    plan = plan_decoding(workers, view)
    assert plan.workers * plan.ahead * plan.views * view < SHARED_BYTES == 48e6
    assert plan.workers * plan.ahead * plan.views * view + 2 * plan.views * view <= SHARED_BYTES  # that have arrived
    assert 1 <= plan.workers <= workers and plan.views >= 1


def test_common_settings_keep_their_workers_and_items_that_are_worth_sending():
    for workers in (1, 2, 4, 8, 16):
        assert plan_decoding(workers, 3 * 224 * 224 * 4).workers == workers
    assert plan_decoding(2, 3 * 224 * 224 * 4).views >= 8 and plan_decoding(2, 3 * 96 * 96 * 4).views == 32


def test_images_too_large_for_shared_memory_are_decoded_without_workers():
    assert plan_decoding(2, 3 * 4000 * 4000 * 4).workers == 0
    assert plan_decoding(0, 3 * 224 * 224 * 4).workers == 0


def test_the_loader_keeps_to_the_plan(files, monkeypatch):
    given = {}
    real = views.DataLoader

    def recording(items, **settings):
        given.update(settings, views=items.views_per_item)
        return real(items, **settings)

    monkeypatch.setattr(views, "DataLoader", recording)
    monkeypatch.setattr(views, "SHARED_BYTES", 20 * 3 * SIZE * SIZE * 4)
    items = [names for names, _ in load_views(files, Noise(), 3, SIZE, 1000)]
    assert (given["num_workers"], given["prefetch_factor"], given["views"]) == (3, 1, 4)
    assert given["timeout"] > 0
    assert max(map(len, items)) == 4 and sum(map(len, items)) == 28


@pytest.mark.parametrize("workers", [1, 3, 9])
def test_workers_change_the_order_and_no_pixel(files, workers):
    alone, shared = dict(drawn(files, 0)), drawn(files, workers)
    assert len(shared) == len(alone) == 28
    for name, pixels in shared:
        assert torch.equal(pixels, alone[name])


@pytest.mark.parametrize("workers", [0, 2])
def test_each_file_is_decoded_once(files, tmp_path, monkeypatch, workers):
    def counting(path, _):
        with (tmp_path / "decoded").open("a") as file:
            file.write(f"{path}\n")
        return Image.open(path)

    monkeypatch.setattr(views, "read_image", counting)
    monkeypatch.setattr(views, "MOST_VIEWS", 2)
    drawn(files, workers, batch=2)
    assert sorted((tmp_path / "decoded").read_text().split()) == sorted(file.path for file in files)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_one_sentence(files, workers):
    Path(files[3].path).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"^Expected a readable image, but .*3\.png is not .*\.$") as caught:
        drawn(files, workers)
    assert "\n" not in str(caught.value)


ADVICE = r"^Expected shared memory .* --shm-size .*workers=0; DATALOADER\.NUM_WORKERS 0 in a run\)\.$"


def test_shared_memory_that_runs_out_is_an_error_and_no_hang(files, monkeypatch):
    def none_left(_):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", none_left)
    with pytest.raises(UserError, match=ADVICE):
        drawn(files, 2)


@pytest.mark.parametrize("number", [signal.SIGBUS, signal.SIGKILL])
def test_a_worker_that_is_killed_is_an_error_and_no_hang(files, number):
    with pytest.raises(UserError, match=ADVICE):
        drawn(files, 2, transform=lambda _: os.kill(os.getpid(), number))


def test_a_worker_that_says_nothing_is_an_error_and_no_hang(files, monkeypatch):
    monkeypatch.setattr(views, "PATIENCE", 1)
    with pytest.raises(UserError, match=ADVICE):
        drawn(files, 1, transform=lambda _: signal.pause())


def test_a_bug_in_a_worker_keeps_its_traceback(files):
    def broken(_):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*a bug"):
        drawn(files, 1, transform=broken)


def test_drawing_leaves_every_generator_alone(files, monkeypatch):
    def reseeded(_):
        raise AssertionError("the GPU's generator was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded)
    image = Image.open(files[0].path)

    def failing(_):
        torch.rand(1), random.random(), np.random.rand()
        raise KeyError("a transform that fails")

    for transform in (Noise(), failing):
        torch.default_generator.manual_seed(1), random.seed(1), np.random.seed(1)
        expected = torch.rand(1).item(), random.random(), np.random.rand()
        torch.default_generator.manual_seed(1), random.seed(1), np.random.seed(1)
        try:
            views._view(image, transform, b"digest", 3)
        except KeyError:
            assert transform is failing
        assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected


def test_random_numbers_follow_from_content_and_number(files):
    def numbers(_):
        return torch.rand(1).item(), random.random(), np.random.rand()

    image = Image.open(files[0].path)
    assert views._view(image, numbers, b"digest", 3) == pytest.approx(
        (0.48896878957748413, 0.09046820809686229, 0.4589412843366246), abs=1e-7
    )


def reader_from(path: Path, text: str):
    path.write_bytes(text.encode())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read


def test_the_key_covers_the_code_that_draws_and_not_its_line_endings(tmp_path, monkeypatch):
    code = "DEPTH = 8\n\n\ndef read(path):\n    return DEPTH\n"
    texts = {"unix": code, "windows": code.replace("\n", "\r\n"), "edited": code.replace("8", "16")}
    keys = {}
    for name, text in texts.items():
        monkeypatch.setattr(views, "read_image", reader_from(tmp_path / f"{name}.py", text))
        keys[name] = views.decoding_digest()
    assert keys["unix"] == keys["windows"] != keys["edited"]
    views._source.cache_clear()
    assert views.decoding_digest() == keys["edited"]
    monkeypatch.setattr(views, "_view", lambda *_: None)
    views._source.cache_clear()
    assert views.decoding_digest() != keys["edited"]
    monkeypatch.undo()
    views._source.cache_clear()
