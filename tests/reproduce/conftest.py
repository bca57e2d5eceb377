"""Run folders as train.py leaves them, and reports without pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write_run(tmp_path) -> Callable[..., Path]:
    """`write_run(dataset, shots, trainer, seed, accuracy, root=...)`: a finished run below tmp_path/output/<root>.

    `terms` (L_SCE, L_anc, L_sc) go into config.yaml.
    """

    def write(dataset="btmri", shots=16, trainer="vMFCoOp", seed=1, accuracy=77.0, root="", terms=None, **more) -> Path:
        folder = Path(root, dataset, f"shots_{shots}", f"{trainer}_PhantomCLIP", "nctx4_cscFalse_ctpend", f"seed{seed}")
        run = tmp_path / "output" / folder
        run.mkdir(parents=True)
        if terms is not None:
            sce, anc, sc = terms
            node = {"SCE": bool(sce), "LAMBDA_ANC": 0.5 * anc, "LAMBDA_SC": 2.0 * sc}
            (run / "config.yaml").write_text(json.dumps({"TRAINER": {"NAME": trainer, "VMFCOOP": node}}))
        document = {"dataset": dataset.upper(), "phantom": True, "trainer": trainer, "backbone": "PhantomCLIP"}
        document |= {"shots": shots, "seed": seed, "subsample": "all", "metrics": {"accuracy": accuracy}}
        (run / "metrics.json").write_text(json.dumps(document | more))
        return run

    return write


@pytest.fixture(autouse=True)
def undrawn(monkeypatch) -> None:
    """Write empty pictures, which takes no time."""

    def save(figure, axes, path, title, svg, within):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".svg").write_text("<svg/>")

    monkeypatch.setattr("report.plots.save", save)
    monkeypatch.setattr("report.rank_plot.save", save)
