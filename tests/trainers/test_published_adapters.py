"""CLIP-Adapter, Tip-Adapter and Tip-Adapter-F with PROTOCOL published, beside BiomedCoOp's own code.

`BIOMEDCOOP_CHECKOUT` names a checkout of https://github.com/HealthX-Lab/BiomedCoOp, whose code is then run on the same
features. Without one, ours are compared with numbers that were recorded from it.
"""

import pytest
import torch
import torchvision.transforms as T
from PIL import Image

from runs.config import configure
from runs.files import config_files
from runs.spec import RunSpec
from tests.trainers import biomedcoop_adapters as theirs
from tests.trainers.biomedcoop_adapters import CHECKOUT, DIM, SCALE, drawn

needs_checkout = pytest.mark.skipif(not CHECKOUT, reason="BIOMEDCOOP_CHECKOUT names no checkout of BiomedCoOp")
CLOSE = 1e-5  # 3e-7 was seen
EPOCHS = {"CLIPAdapter": 20, "TipAdapter": 0, "TipAdapterF": 40}  # 4 for each of the ten values of alpha
SMALL = ("DATALOADER.TRAIN_X.BATCH_SIZE", 9)  # three batches an epoch, the last of six
GRID = [40, 40]

# Returned by BiomedCoOp's code in `test_published_is_what_biomedcoops_code_computes`, which compares them again.
RECORDED = {
    "CLIPAdapter": {
        "down": [-0.2462279, -0.5289361, -0.4591407, 0.6135470, 0.0051603, -0.3058769, 0.0598915, 0.1805309],
        "up": [-0.2405794, -0.3973077, -0.0698608, 0.1517710, 0.3359930, 0.0570279, -0.1660717, -0.2354341],
        "accuracy": [60.0],
    },
    "TipAdapter": {"alpha": [32.535], "beta": [0.1], "accuracy": [55.0]},
    "TipAdapterF": {
        "keys": [0.1269547, 0.1628301, -0.0374063, -0.5205868, -0.4361881, -0.0776368, 0.0816521, -0.3335564],
        "alpha": [25.05],
        "beta": [1.3475],
        "accuracy": [75.0],
    },
}


@pytest.fixture
def trained(build, tiny, monkeypatch):
    """`trained(name, key, value, ...)`: a published adapter trained on drawn features, and what it has found."""
    tiny.logit_scale = SCALE
    for name in ("views", "plain_features"):
        monkeypatch.setattr(theirs.StoredFeatures, name, getattr(theirs, name))
    monkeypatch.setattr("trainers.zeroshot.template_features", theirs.directions)

    def run(name, *opts):
        given = ("PROTOCOL", "published", "OPTIM.MAX_EPOCH", EPOCHS[name], "TEST.NO_TEST", True, *SMALL)
        grid = () if name == "CLIPAdapter" else (f"TRAINER.{name.upper()}.SEARCH_STEP", GRID)
        trainer = build(name, *given, *grid, *opts, shots=6)
        if name == "CLIPAdapter":
            with torch.no_grad():
                for weight, value in zip((trainer.adapters.down, trainer.adapters.up), start(), strict=True):
                    weight.copy_(value)
        with theirs.rates() as rates:
            trainer.train()
        return trainer, found(trainer) | {"accuracy": trainer.test(), "rates": rates}

    return run


def start() -> tuple[torch.Tensor, torch.Tensor]:
    """Return initial weights W_1 and W_2 of an adapter."""
    return 0.3 * drawn(4, rows=DIM)[:, :4], 0.3 * drawn(5, rows=4)


def found(trainer) -> dict:
    """Return what an adapter has learned and chosen."""
    if "adapters" in vars(trainer):
        return {"down": trainer.adapters.down[0].detach(), "up": trainer.adapters.up[0].detach()}
    cache = trainer.cache
    return {"keys": cache.keys.detach(), "alpha": cache.alpha.item(), "beta": cache.beta.item()}


def excerpt(what: dict, name: str) -> dict[str, list[float]]:
    """Return the part of what was found that is recorded."""
    parts = {"down": lambda w: w[:8, 0], "up": lambda w: w[0, :8], "keys": lambda keys: keys[-1, :8]}
    return {key: torch.as_tensor(parts.get(key, lambda x: x)(what[key])).reshape(-1).tolist() for key in RECORDED[name]}


def off(one: dict, other: dict) -> float:
    """Return the largest difference of two excerpts."""
    return max(abs(a - b) for key in one for a, b in zip(one[key], other[key], strict=True))


@pytest.mark.parametrize("name", RECORDED)
def test_published_gives_what_was_recorded_from_biomedcoops_code(trained, name):
    assert off(excerpt(trained(name)[1], name), RECORDED[name]) < CLOSE


@needs_checkout
@pytest.mark.parametrize("name", RECORDED)
def test_published_is_what_biomedcoops_code_computes(trained, tmp_path, name):
    trainer, ours = trained(name)
    if name == "CLIPAdapter":
        original = theirs.their_clip_adapter(trainer, start(), tmp_path)
    else:
        keys = theirs.views(trainer, [EPOCHS[name]])[0]  # a view that no epoch has
        changes = {"search_step": GRID, "train_epoch": EPOCHS[name] // 10, "finetune": name == "TipAdapterF"}
        original = theirs.their_tip_adapter(trainer, keys, tmp_path, **changes)
    assert original.keys() == ours.keys()
    for key, value in original.items():
        pairs = [torch.as_tensor(each, dtype=torch.float64) for each in (ours[key], value)]
        if key == "rates":  # at the end of Tip-Adapter-F it trains for some epochs more, which change nothing
            pairs[1] = pairs[1][: len(pairs[0])]
        assert torch.allclose(*pairs, atol=CLOSE if key != "rates" else 1e-12, rtol=0), key
    print(off(excerpt(ours, name), excerpt(original, name)))
    assert off(excerpt(original, name), RECORDED[name]) < CLOSE


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("CLIPAdapter", "OPTIM.MOMENTUM", 0.9),
        ("CLIPAdapter", "OPTIM.WEIGHT_DECAY", 5e-4),
        ("CLIPAdapter", "OPTIM.SCHEDULE_STEP", "epoch"),
        ("CLIPAdapter", "OPTIM.SCHEDULE_LENGTH", 0),
        ("CLIPAdapter", "OPTIM.WARMUP_EPOCH", 0),
        ("CLIPAdapter", "DATALOADER.TRAIN_X.DROP_LAST", True),
        ("CLIPAdapter", "TRAINER.CLIPADAPTER.VIEWS", "one"),
        ("CLIPAdapter", "TRAINER.CLIPADAPTER.OUTPUT_RELU", False),
        ("CLIPAdapter", "TRAINER.CLIPADAPTER.NORMALIZE", True),
        ("CLIPAdapter", "TRAINER.CLIPADAPTER.ALPHAS", [0.2]),
        ("TipAdapter", "TRAINER.TIPADAPTER.VIEWS", "none"),
        ("TipAdapter", "TRAINER.TIPADAPTER.SEARCH_SCALE", [50.0, 20.0]),
        ("TipAdapterF", "OPTIM.WEIGHT_DECAY", 0.0),
        ("TipAdapterF", "OPTIM.SCHEDULE_STEP", "epoch"),
        ("TipAdapterF", "OPTIM.WARMUP_EPOCH", 1),
        ("TipAdapterF", "DATALOADER.TRAIN_X.DROP_LAST", True),
        ("TipAdapterF", "TRAINER.TIPADAPTERF.VIEWS", "one"),
        ("TipAdapterF", "TRAINER.TIPADAPTERF.AUGMENT_EPOCH", 10),
        ("TipAdapterF", "TRAINER.TIPADAPTERF.INIT_BETA", 2.0),
        ("TipAdapterF", "TRAINER.TIPADAPTERF.ALPHAS", [1.0]),
        ("TipAdapterF", "TRAINER.TIPADAPTERF.BEST_EPOCH", True),
    ],
)
def test_without_one_of_its_settings_it_is_another_method(trained, name, key, value):
    assert off(excerpt(trained(name, key, value)[1], name), RECORDED[name]) > 5 * CLOSE


@pytest.mark.parametrize("name", RECORDED)
def test_its_crops_are_those_of_the_code(build, data_root, name):
    trainer = build(name, "PROTOCOL", "published", "OPTIM.MAX_EPOCH", EPOCHS[name])
    size, mode = trainer.backbone.image_size, T.InterpolationMode.BICUBIC
    steps = [T.RandomResizedCrop(size, scale=(0.5, 1), interpolation=mode), T.RandomHorizontalFlip(p=0.5)]
    steps += [T.ToTensor(), T.Normalize(trainer.backbone.mean, trainer.backbone.std)]
    image = Image.open(trainer.train_items[0].impath)
    for seed in range(8):  # flipped or not
        views = []
        for transform in (trainer.train_transform, T.Compose(steps)):
            torch.manual_seed(seed)
            views.append(transform(image))
        assert torch.equal(*views)
    assert "RandomHorizontalFlip" not in repr(trainer.test_transform)


@pytest.mark.parametrize("setting", ["few_shot", "base2new"])
@pytest.mark.parametrize("name", RECORDED)
def test_both_settings_find_the_published_yaml_behind_the_methods_own(name, setting):
    own = ["configs/common.yaml", f"{name}/few_shot.yaml"]
    for trainer, expected in ((name, own), (f"{name}:published", [*own, f"{name}/published.yaml"])):
        files = config_files(RunSpec(trainer=trainer, setting=setting))
        assert [f"{file.parent.name}/{file.name}" for file in files] == expected


@needs_checkout
def test_settings_are_those_of_the_codes_yaml_files():
    where: dict = {"dataset": "btmri", "root": "phantoms", "shots": 4}
    clip, tip, tuned = (configure(RunSpec(trainer=f"{name}:published", **where), 1) for name in RECORDED)
    optim, alpha = clip.OPTIM, clip.TRAINER.CLIPADAPTER.ALPHA
    ours = {"lr": optim.LR, "train_epoch": optim.MAX_EPOCH, "batch_size": clip.DATALOADER.TRAIN_X.BATCH_SIZE}
    ours |= {"WARMUP_EPOCH": optim.WARMUP_EPOCH, "WARMUP_CONS_LR": optim.WARMUP_CONS_LR, "alpha_ca": alpha}
    given = theirs.their_settings("CLIP_Adapter")
    assert given | ours | {"search_alpha_ca": False} == given and optim.SCHEDULE_LENGTH == optim.MAX_EPOCH
    optim, node, search = tuned.OPTIM, tuned.TRAINER.TIPADAPTERF, tip.TRAINER.TIPADAPTER
    ours = {"lr": optim.LR, "train_epoch": optim.MAX_EPOCH / 10, "batch_size": tuned.DATALOADER.TRAIN_X.BATCH_SIZE}
    ours |= {"init_beta": node.INIT_BETA, "augment_epoch": node.AUGMENT_EPOCH, "init_alpha_scale": len(node.ALPHAS)}
    ours |= {"search_scale": node.SEARCH_SCALE, "search_step": node.SEARCH_STEP, "finetune": True, "grid_search": True}
    given = theirs.their_settings("TiP_Adapter")
    assert given | ours == given and list(range(10)) == node.ALPHAS
    assert (search.SEARCH_SCALE, search.SEARCH_STEP) == (node.SEARCH_SCALE, node.SEARCH_STEP)
