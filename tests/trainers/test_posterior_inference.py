"""The posterior as the inference of prompt methods: what it computes, carries along, chooses and refuses."""

import shutil
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

import train
from dassl.engine import TRAINER_REGISTRY
from dassl.errors import UserError
from runs.config import configure
from runs.spec import RunSpec
from tests.conftest import CLASSES
from tests.run_folders import record, run_folder
from trainers import posterior, register_all
from trainers.base.digests import config_digest
from trainers.base.labels import labels_of
from trainers.base.prompt_trainer import PromptTrainer
from trainers.base.text_features import ensemble, llm_features

pytestmark = pytest.mark.usefixtures("tiny")

register_all()
PROMPTED = [
    name
    for name in TRAINER_REGISTRY.registered_names()
    if issubclass(TRAINER_REGISTRY.get(name), PromptTrainer) and name != "vMFPosterior"
]
POSTERIOR = ("INFERENCE", "posterior")


def opts(trainer: str, *pairs) -> list:
    """Options of a method: the first of each pair is the end of its key."""
    return [f"TRAINER.{trainer.upper()}.{word}" if i % 2 == 0 else word for i, word in enumerate(pairs)]


def by_hand(trainer, features, rho=0.5, n_0=8.0, images=True, prompted=True):
    """The logits, from the definition of DESIGN's five lines, without `trainers.posterior`."""

    def relative(x):
        x = x.double() - x.double().mean(dim=0)
        return x / x.square().sum(dim=1).mean().sqrt()

    v, labels = trainer.plain_features(trainer.train_items).double(), labels_of(trainer.train_items)
    mu = ensemble(llm_features(trainer, 50))
    means = torch.stack([v[labels == c].mean(dim=0) for c in range(4)])
    k, m = 2, means.mean(dim=0)
    scatter = (v - means[labels]).square().sum() / (len(v) - 4)
    seen = (means - m).square().sum(dim=1).mean()
    s = torch.maximum(seen - (1 - 1 / 4) * scatter / k, 0.05 * seen).sqrt()
    p = relative(trainer.prompt_features()) if prompted else 0
    t = relative((1 - rho) * p + rho * relative(mu))
    w = normalize(n_0 * s * t + images * k * (means - m), dim=1)
    r = (mu.double() - mu.double().mean(dim=0)).square().sum(dim=1).mean().sqrt()
    return trainer.backbone.logit_scale * r * (features.double() - m) @ w.T


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ((), {}),
        (("RHO", 0.25, "N_0", 2.0), {"rho": 0.25, "n_0": 2.0}),
        (("IMAGES", False), {"images": False}),
    ],
)
def test_the_logits_are_those_of_the_definition(build, pairs, expected):
    trainer = build("vMFPosterior", *opts("vMFPosterior", "REFINE", 0.0, *pairs))
    trainer.train()
    features = trainer.plain_features(trainer.dm.dataset.test)
    found = trainer.logits(features)
    assert torch.allclose(found, by_hand(trainer, features, **expected), atol=1e-4)
    assert not torch.allclose(found, trainer.cosine_logits(features, trainer.prompt_features()).double(), atol=0.1)


def test_prototypes_are_the_posterior_without_a_prompt(build):
    trainer = build("vMFPrototypes", "OPTIM.MAX_EPOCH", 0, *opts("vMFPrototypes", "REFINE", 0.0))
    trainer.train()
    features = trainer.plain_features(trainer.dm.dataset.test)
    assert torch.allclose(trainer.logits(features), by_hand(trainer, features, rho=1, prompted=False), atol=1e-4)


def test_training_is_that_of_vmfcoop_and_its_runs_can_be_tested_so(flags, tmp_path, capsys):
    assert train.main(flags("vMFCoOp")) == 0
    assert train.main(flags("vMFPosterior")) == 0
    plain, own = (run_folder(tmp_path, name) for name in ("vMFCoOp", "vMFPosterior"))
    states = [
        torch.load(folder / "prompt_learner/model.pth.tar-3", weights_only=True)["state_dict"]
        for folder in (plain, own)
    ]
    assert torch.equal(states[0]["ctx"], states[1]["ctx"])
    metrics = record(own)["metrics"]
    assert metrics["prompts_accuracy"] == pytest.approx(record(plain)["metrics"]["accuracy"])
    capsys.readouterr()
    assert train.main(flags("vMFPosterior", output=tmp_path / "again", more=("--eval-only", "--model-dir", plain))) == 0
    out = capsys.readouterr().out
    folder = run_folder(tmp_path / "again", "vMFPosterior")
    assert "evidence: the support images are looked at again" in out
    assert (folder / "log.txt").read_text().count("Posterior: kappa") == 4
    again = record(folder)
    assert again["metrics"] == metrics and again["loaded"]
    assert again["concentrations"].keys() == set(CLASSES)


@pytest.mark.parametrize("method", PROMPTED)
def test_every_prompt_method_can_have_it_in_both_settings(method, flags, tmp_path):
    pairs = (*opts(method, *POSTERIOR), "OPTIM.MAX_EPOCH", 1)
    assert train.main(flags(method, *pairs)) == 0
    for part in (("base",), ("new", "--eval-only")):
        more = ("--setting", "base2new", "--subsample", *part)
        assert train.main(flags(method, *pairs, more=more)) == 0
    novel = record(run_folder(tmp_path / "base2new/test_new", method, reads=True))
    assert novel["concentrations"].keys() == set(CLASSES[2:]) and "prompts_accuracy" in novel["metrics"]


def test_novel_classes_are_tested_without_their_training_images(flags, data_root, tmp_path):
    root = Path(shutil.copytree(data_root, tmp_path / "data"))
    for method, epochs in (("vMFPosterior", 1), ("vMFPrototypes", 0)):
        line = flags(method, "OPTIM.MAX_EPOCH", epochs, root=root, output=tmp_path / "out")
        protocol = ("--setting", "base2new", "--subsample")
        words = ["--subsample", "base"]
        split = line.index("OPTIM.MAX_EPOCH")
        base = [*line[:split], *protocol, "base", *line[split:]]
        novel = [*line[:split], *protocol, "new", "--eval-only", *line[split:]]
        assert train.main(base) == 0, words
        if method == "vMFPosterior":  # the first of the two: gone for the second one's training too
            for name in CLASSES[2:]:
                for image in (root / "BTMRI" / "BTMRI" / name.replace(" ", "_")).glob("train*.png"):
                    image.unlink()
        assert train.main(novel) == 0
        assert record(run_folder(tmp_path / "out/base2new/test_new", method))["loaded"]


def test_the_checkpoint_carries_sums_by_class_and_a_novel_test_uses_them(build, tmp_path):
    more = ("--setting", "base2new", "--subsample")
    base = build("vMFPosterior", more=(*more, "base"))
    base.train()
    state = torch.load(Path(base.output_dir) / "evidence/model.pth.tar-3", weights_only=True)
    assert state["classnames"] == CLASSES[:2] and state["state_dict"]["counts"].tolist() == [2, 2]
    novel = build("vMFPosterior", more=(*more, "new", "--eval-only"))
    novel.load_model(base.output_dir)
    v = base.plain_features(base.train_items).double()
    assert torch.allclose(novel.seen_images.centre, v.mean(dim=0), atol=1e-6)
    features = novel.plain_features(novel.dm.dataset.test).double()
    mu, prompts = (x - x.mean(dim=0) for x in (novel.llm_means.double(), novel.prompt_features().double()))
    w = normalize(mu / mu.norm(dim=1).square().mean().sqrt() + prompts / prompts.norm(dim=1).square().mean().sqrt())
    expected = novel.kappa(None) * (features - v.mean(dim=0)) @ w.T
    assert torch.allclose(novel.logits(features.float()), expected, atol=1e-4)


@pytest.mark.parametrize("wrong", ["shape", "nan", "count", "name", "classes"])
def test_evidence_that_does_not_fit_is_refused(build, wrong):
    trainer = build("vMFPosterior", "TEST.NO_TEST", True)
    trainer.train()
    path = Path(trainer.output_dir) / "evidence/model.pth.tar-3"
    state = torch.load(path, weights_only=True)
    held = state["state_dict"]
    if wrong == "shape":
        held["sums"] = held["sums"][:, :-1]
    elif wrong == "nan":
        held["sums"][0, 0] = float("nan")
    elif wrong == "count":
        held["counts"][0] = -1
    elif wrong == "classes":
        state["classnames"][0] = ["no", "name"]
    else:
        del held["n_0"]
    torch.save(state, path)
    with pytest.raises(UserError, match="evidence"):
        trainer.load_model(trainer.output_dir)


def test_validation_images_choose_the_weight_of_the_text_and_a_novel_test_keeps_it(build, capsys):
    pairs = opts("vMFPosterior", "N_0", 0.0, "REFINE", 0.0)
    trainer = build("vMFPosterior", *pairs)
    trainer.train()
    chosen = trainer.evidence.n_0.item()
    assert f"n_0 {chosen:g}" in capsys.readouterr().out
    items = trainer.dm.dataset.val
    features, labels = trainer.plain_features(items), labels_of(items)
    right = {}
    for n_0 in (1, 2, 4, 8, 16, 32, 64):
        right[n_0] = (by_hand(trainer, features, n_0=n_0).argmax(dim=1) == labels).sum().item()
    assert right[chosen] == max(right.values())
    again = build("vMFPosterior", *pairs)
    again.load_model(trainer.output_dir)
    assert again.evidence.n_0 == chosen


def test_refinement_moves_directions_with_the_support_set_alone_and_travels(build):
    trainer = build("vMFPosterior", *opts("vMFPosterior", "REFINE", 0.01))
    trainer.train()
    shift = trainer.evidence.shift
    support, labels = trainer.plain_features(trainer.train_items), labels_of(trainer.train_items)
    seen, kappa = trainer.seen_images, trainer.kappa(None)
    w = posterior.mode(trainer.resultant(trainer.prompt_features()))
    strength = 0.01 * kappa**2 * seen.spread.item() ** 2  # in images of the length s
    expected = posterior.refine(support - seen.centre, labels, w, kappa, strength) - w
    assert torch.allclose(shift.double(), expected.detach(), atol=1e-4) and shift.norm() > 1e-3
    refined = trainer.logits(support).softmax(dim=1)[range(8), labels].mean()
    again = build("vMFPosterior", *opts("vMFPosterior", "REFINE", 0.01))
    again.load_model(trainer.output_dir)
    assert torch.equal(again.evidence.shift, shift)
    trainer.evidence.shift.zero_()
    assert refined > trainer.logits(support).softmax(dim=1)[range(8), labels].mean() + 0.01
    off = build("vMFPosterior", *opts("vMFPosterior", "IMAGES", False), output=Path(trainer.output_dir) / "off")
    off.train()
    assert not off.evidence.shift.any()


def test_the_concentration_changes_probabilities(build):
    trainer = build("vMFPosterior", *opts("vMFPosterior", "CONCENTRATION", True))
    trainer.train()
    features = trainer.plain_features(trainer.dm.dataset.test)
    W = trainer.resultant(trainer.prompt_features())
    w, kappa = normalize(posterior.mode(W) + trainer.evidence.shift, dim=1), trainer.kappa(None)
    x = features.double() - trainer.seen_images.centre
    expected = posterior.predictive_logits(x, w, kappa * W.norm(dim=1), kappa, d=4)
    assert torch.allclose(trainer.logits(features), expected, atol=1e-6)
    assert trainer.concentrations()[CLASSES[1]] == pytest.approx(kappa * W[1].norm().item())


def test_settings_of_the_posterior_count_where_it_is_the_inference(data_root):
    def digest(trainer, *pairs):
        spec = RunSpec(
            trainer, "btmri", 2, root=data_root, backbone="PhantomCLIP", options=tuple(opts(trainer, *pairs))
        )
        return config_digest(configure(spec, 1))

    plain = digest("CoOp")
    assert plain == digest("CoOp", "RHO", 0.1, "N_0", 3.0, "REFINE", 7.0, "IMAGES", False)
    found = {digest("CoOp", *POSTERIOR, *more) for more in ((), ("RHO", 0.1), ("N_0", 3.0), ("REFINE", 7.0))}
    assert len(found | {plain}) == 5
    assert digest("vMFCoOp") != digest("vMFCoOp", "ANCHORS", "centred")


def test_folders_name_the_llm_of_an_inference_that_reads_sentences(data_root):
    def folder(*pairs):
        spec = RunSpec("CoOp", "btmri", 2, root=data_root, backbone="PhantomCLIP", options=tuple(opts("CoOp", *pairs)))
        return Path(configure(spec, 1).OUTPUT_DIR).parent.name

    assert folder() == "nctx4_cscFalse_ctpend"
    assert folder(*POSTERIOR, "RHO", 0.0) == "nctx4_cscFalse_ctpend__INFERENCE=posterior,RHO=0"
    assert folder(*POSTERIOR) == "nctx4_cscFalse_ctpend_claude__INFERENCE=posterior"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (("INFERENCE", "words"), "INFERENCE"),
        (("RHO", 1.5), "RHO from 0 to 1, but got 1.5"),
        (("N_0", -1.0), "N_0 of 0 or more, but got -1"),
        (("REFINE", -0.5), "REFINE of 0 or more, but got -0.5"),
    ],
)
def test_a_setting_without_meaning_is_refused(build, pairs, said):
    with pytest.raises(UserError, match=said):
        build("CoOp", *opts("CoOp", *POSTERIOR, *pairs))


def test_without_n_0_a_novel_test_of_published_prompts_is_refused(build):
    more = ("--setting", "base2new", "--subsample")
    base = build("CoOp", more=(*more, "base"))
    base.train()
    novel = build("CoOp", *opts("CoOp", *POSTERIOR, "N_0", 0.0), more=(*more, "new", "--eval-only"))
    with pytest.raises(UserError, match="n_0 that was chosen"):
        novel.load_model(base.output_dir)
    fixed = build("CoOp", *opts("CoOp", *POSTERIOR), more=(*more, "new", "--eval-only"))
    fixed.load_model(base.output_dir)
    v = base.plain_features(base.train_items).double()
    assert torch.allclose(fixed.seen_images.centre, v.mean(dim=0), atol=1e-6)
    assert fixed.support_classes == CLASSES[:2] and not fixed.of_classes(fixed.evidence.counts).any()
