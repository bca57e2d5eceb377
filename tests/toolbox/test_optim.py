"""Optimisers and schedules."""

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dassl.config import get_cfg_default
from dassl.errors import UserError
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import AVAI_SCHEDS, ConstantWarmupScheduler, LinearWarmupScheduler


def make_cfg(*options):
    cfg = get_cfg_default().OPTIM
    cfg.merge_from_list(["NAME", "sgd", "LR", 0.002, *options])
    return cfg


def make_optim(lr=0.002):
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def rates(optim, sched, epochs):
    values = []
    for _ in range(epochs):
        assert sched.get_last_lr() == [group["lr"] for group in optim.param_groups]
        values.append(optim.param_groups[0]["lr"])
        optim.step()
        sched.step()
    return values


def built(epochs, *options):
    optim = make_optim()
    return rates(optim, build_lr_scheduler(optim, make_cfg("MAX_EPOCH", epochs, *options)), epochs)


def test_coop_schedule_golden_values():
    values = built(100, "LR_SCHEDULER", "cosine", "WARMUP_EPOCH", 1, "WARMUP_TYPE", "constant")
    assert values[0] == 1e-5
    assert values[1] == 0.002
    assert values[26] == pytest.approx(0.001 * (1 + math.sqrt(0.5)), rel=1e-12)
    assert values[51] == pytest.approx(0.001, rel=1e-12)
    assert values[99] == pytest.approx(0.001 * (1 - math.cos(math.pi / 50)), rel=1e-9)


def test_linear_warmup_golden_values():
    values = built(8, "LR_SCHEDULER", "cosine", "WARMUP_EPOCH", 4, "WARMUP_TYPE", "linear")
    cosine = [0.001 * (1 + math.cos(math.pi * t / 8)) for t in range(4)]
    assert values == pytest.approx([1e-5, 0.0005, 0.001, 0.0015, *cosine], rel=1e-12)


def test_schedule_can_count_from_the_start():
    values = built(8, "LR_SCHEDULER", "cosine", "WARMUP_EPOCH", 2, "WARMUP_RECOUNT", False)
    assert values[2:] == pytest.approx([0.001 * (1 + math.cos(math.pi * t / 8)) for t in range(2, 8)], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["LR_SCHEDULER", "single_step", "STEPSIZE", (2,)], [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (["LR_SCHEDULER", "single_step"], [1, 1, 1, 1, 1, 1]),
        (["LR_SCHEDULER", "multi_step", "STEPSIZE", (4, 1), "GAMMA", 0.5], [1, 0.5, 0.5, 0.5, 0.25, 0.25]),
        (["LR_SCHEDULER", "multi_step"], [1, 1, 1, 1, 1, 1]),
        (["LR_SCHEDULER", "single_step", "STEPSIZE", (2,), "WARMUP_EPOCH", 1], [0.005, 1, 1, 0.1, 0.1, 0.01]),
    ],
)
def test_step_schedules_golden_values(options, expected):
    assert built(6, *options) == pytest.approx([0.002 * factor for factor in expected], rel=1e-12)


def test_same_as_pytorch():
    ours = built(30, "LR_SCHEDULER", "cosine")
    optim = make_optim()
    assert ours == pytest.approx(rates(optim, torch.optim.lr_scheduler.CosineAnnealingLR(optim, 30), 30), abs=1e-15)


@pytest.mark.parametrize("cls", [ConstantWarmupScheduler, LinearWarmupScheduler])
def test_warmup_takes_pytorchs_schedulers(cls):
    optim = make_optim(0.1)
    sched = cls(optim, torch.optim.lr_scheduler.CosineAnnealingLR(optim, 10), 2, 1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = rates(optim, sched, 6)
    second = 1e-3 if cls is ConstantWarmupScheduler else 0.05
    cosine = [0.05 * (1 + math.cos(math.pi * t / 10)) for t in range(4)]
    assert values == pytest.approx([1e-3, second, *cosine], rel=1e-9)


def test_each_group_keeps_its_ratio():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optim = torch.optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 0.1}], lr=1.0)
    sched = build_lr_scheduler(optim, make_cfg("LR_SCHEDULER", "cosine", "MAX_EPOCH", 4))
    sched.step()
    assert sched.get_last_lr()[1] / sched.get_last_lr()[0] == pytest.approx(0.1)


@given(
    kind=st.sampled_from(["cosine", "single_step", "multi_step"]),
    warmup=st.integers(-1, 4),
    warmup_type=st.sampled_from(["constant", "linear"]),
    recount=st.booleans(),
    stop=st.integers(0, 11),
)
def test_a_resumed_schedule_goes_on_as_if_uninterrupted(kind, warmup, warmup_type, recount, stop):
    options = ["LR_SCHEDULER", kind, "STEPSIZE", (5,), "MAX_EPOCH", 12, "WARMUP_EPOCH", warmup]
    cfg = make_cfg(*options, "WARMUP_TYPE", warmup_type, "WARMUP_RECOUNT", recount)
    optim = make_optim()
    sched = build_lr_scheduler(optim, cfg)
    rates(optim, sched, stop)
    state = sched.state_dict()
    fresh_optim = make_optim()
    fresh = build_lr_scheduler(fresh_optim, cfg)
    fresh.load_state_dict(state)
    assert rates(fresh_optim, fresh, 12 - stop) == rates(optim, sched, 12 - stop)

    def numbers(value):
        if isinstance(value, dict):
            return all(numbers(item) for item in value.values())
        return all(isinstance(item, (int, float)) for item in (value if isinstance(value, list) else [value]))

    assert numbers(state)


def test_wrong_schedules_are_named():
    with pytest.raises(ValueError, match="scheduler to be one of single_step, multi_step, cosine, but got 'cosin'"):
        built(3, "LR_SCHEDULER", "cosin")
    with pytest.raises(ValueError, match=r"OPTIM\.WARMUP_TYPE to be one of constant, linear, but got 'exp'"):
        built(3, "WARMUP_EPOCH", 1, "WARMUP_TYPE", "exp")
    with pytest.raises(TypeError, match=r"whole number of epochs, but got 2\.5"):
        built(3, "LR_SCHEDULER", "single_step", "STEPSIZE", (2.5,))
    cfg = make_cfg("LR_SCHEDULER", "multi_step")
    cfg.STEPSIZE = 3
    with pytest.raises(TypeError, match=r"list of epochs, but got 3: write \(3,\)"):
        build_lr_scheduler(make_optim(), cfg)
    cfg.LR_SCHEDULER = "single_step"
    assert build_lr_scheduler(make_optim(), cfg).get_last_lr() == [0.002]


@pytest.mark.parametrize(
    ("name", "cls", "settings"),
    [
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "dampening": 0, "nesterov": False}),
        ("adam", torch.optim.Adam, {"betas": (0.9, 0.999), "amsgrad": False}),
        ("amsgrad", torch.optim.Adam, {"betas": (0.9, 0.999), "amsgrad": True}),
        ("adamw", torch.optim.AdamW, {"betas": (0.9, 0.999)}),
        ("radam", torch.optim.RAdam, {"betas": (0.9, 0.999)}),
        ("rmsprop", torch.optim.RMSprop, {"alpha": 0.99, "momentum": 0.9}),
    ],
)
def test_optimizers_take_their_settings(name, cls, settings):
    optim = build_optimizer(nn.Linear(2, 2), make_cfg("NAME", name))
    assert type(optim) is cls
    group = optim.param_groups[0]
    assert {key: group[key] for key in settings} == settings
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.002, 5e-4, 2)


def test_optimizer_takes_modules_parameters_and_groups():
    model = nn.Linear(2, 2)
    cfg = make_cfg()
    assert len(build_optimizer(list(model.parameters()), cfg).param_groups[0]["params"]) == 2
    assert len(build_optimizer(model.parameters(), cfg).param_groups[0]["params"]) == 2
    groups = [{"params": [model.weight], "lr": 0.5}, {"params": [model.bias]}]
    assert [g["lr"] for g in build_optimizer(groups, cfg).param_groups] == [0.5, 0.002]
    assert [g["lr"] for g in build_optimizer(None, cfg, param_groups=groups).param_groups] == [0.5, 0.002]


def test_staged_rates():
    model = nn.Sequential()
    model.register_parameter("scale", nn.Parameter(torch.ones(1)))
    model.add_module("body", nn.Linear(2, 2))
    model.add_module("head", nn.Linear(2, 3))
    cfg = make_cfg("STAGED_LR", True, "NEW_LAYERS", ("head",))
    base, new = build_optimizer(nn.DataParallel(model), cfg).param_groups
    assert (base["lr"], new["lr"]) == (pytest.approx(0.0002), 0.002)
    assert [p.shape for p in base["params"]] == [(1,), (2, 2), (2,)]
    assert {id(p) for p in new["params"]} == {id(p) for p in model.head.parameters()}
    cfg.NEW_LAYERS = "head"
    assert len(build_optimizer(model, cfg).param_groups) == 2
    cfg.NEW_LAYERS = ()
    assert [g["lr"] for g in build_optimizer(model, cfg).param_groups] == [pytest.approx(0.0002)]
    cfg.NEW_LAYERS = ("heed",)
    with pytest.raises(ValueError, match=r"NEW_LAYERS to be one of body, head, scale, but got 'heed'"):
        build_optimizer(model, cfg)
    with pytest.raises(TypeError, match=r"a module for OPTIM\.STAGED_LR, but got list"):
        build_optimizer(list(model.parameters()), cfg)


def test_unknown_optimizer():
    with pytest.raises(ValueError, match="one of adam, amsgrad, sgd, rmsprop, radam, adamw, but got 'lion'"):
        build_optimizer(nn.Linear(1, 1), make_cfg("NAME", "lion"))


@pytest.mark.parametrize("name", AVAI_SCHEDS)
@pytest.mark.parametrize("epochs", [0, -1])
def test_a_schedule_without_epochs_is_refused(name, epochs):
    cfg = make_cfg("LR_SCHEDULER", name, "MAX_EPOCH", epochs)
    with pytest.raises(UserError, match=rf"Expected OPTIM\.MAX_EPOCH of 1 or more, but got {epochs}"):
        build_lr_scheduler(make_optim(), cfg)
