"""Run folders as Dassl leaves them; tests/conftest.py has `write_run`."""

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
