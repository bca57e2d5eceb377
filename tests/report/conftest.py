"""Run folders as train.py and Dassl leave them."""

import json
from pathlib import Path

import pytest

TRAINED = """Loading trainer: CoOp
epoch [1/2] batch [20/20] loss 1.2 (1.3) acc 50.0000 (40.0000) lr 1.0000e-03
=> result
* total: 40
* accuracy: 11.1%
epoch [2/2] batch [20/20] loss 1.0 (1.1) acc 50.0000 (40.0000) lr 1.0000e-03
{end}
Deploy the last-epoch model
Evaluate on the *test* set
"""
RESULT = """=> result
* total: 1,717
* correct: 1,323
* accuracy: {accuracy}%
* error: 22.9%
* macro_f1: {macro_f1}%
=> per-class result
* class: 0 (glioma tumor)\ttotal: 397\tcorrect: 318\tacc: 80.1%
* average: 75.4%
Elapsed: 0:01:23
"""


@pytest.fixture
def write_log(tmp_path):
    """write_log(folder, accuracy, macro_f1, end="Finish training") -> run folder; with end="" its log only tests."""

    def write(folder: str, accuracy: float, macro_f1: float = 70.1, end: str = "Finish training") -> Path:
        run = tmp_path / folder
        run.mkdir(parents=True, exist_ok=True)
        text = (TRAINED.format(end=end) if end else "Loading trainer: CoOp\n") + RESULT.format(
            accuracy=accuracy, macro_f1=macro_f1
        )
        (run / "log.txt").write_text(text)
        return run

    return write


@pytest.fixture
def write_run(tmp_path):
    """write_run(dataset, shots, trainer, seed, accuracy, ...) -> finished run folder below tmp_path/output.

    `root` lies between the two, such as "base2new/train_base"; `terms` (L_SCE, L_anc, L_sc) go into config.yaml,
    `context` is the folder above the seed's, and whatever else is named goes into metrics.json.
    """

    def write(dataset="btmri", shots=16, trainer="vMFCoOp", seed=1, accuracy=77.0, root="", terms=None, **more) -> Path:
        backbone = more.pop("backbone", "PhantomCLIP")
        context = more.pop("context", "nctx4_cscFalse_ctpend")
        folder = Path(f"{trainer}_{backbone}".replace(":", "-").replace("/", "-"), context)
        run = tmp_path / "output" / root / dataset / f"shots_{shots}" / folder / f"seed{seed}"
        run.mkdir(parents=True)
        if terms is not None:
            sce, anc, sc = terms
            node = {"SCE": bool(sce), "LAMBDA_ANC": 0.5 * anc, "LAMBDA_SC": 2.0 * sc}
            (run / "config.yaml").write_text(json.dumps({"TRAINER": {"NAME": trainer, "VMFCOOP": node}}))
        metrics = {"accuracy": accuracy, "macro_f1": accuracy - 2, "balanced_accuracy": accuracy - 1}
        metrics |= {"auroc": 93.5, "ece": 4.25, "per_class": {"glioma tumor": 80.123}}
        document = {"dataset": dataset.upper(), "phantom": True, "trainer": trainer, "backbone": backbone}
        document |= {"shots": shots, "seed": seed, "subsample": "all", "metrics": metrics, "total": 1717}
        document |= {"seconds": {"start": 2.0, "train": 15.0, "test": 3.0}} | more
        (run / "metrics.json").write_text(json.dumps(document))
        return run

    return write
