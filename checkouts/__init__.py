"""Trainers of another CoOp-style checkout, run beside ours (`--with`)."""

import toolbox  # noqa: F401, its dassl comes first
