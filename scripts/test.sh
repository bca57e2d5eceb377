#!/usr/bin/env bash
# All checks: lint, format, tests, and where there is a GPU those that need one. Makes .venv if needed. Arguments go to
# pytest, which then runs alone.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env test
set -e
ruff check .
ruff format --check .
CUDA_VISIBLE_DEVICES= python -m pytest -q "$@" # the same on every machine
[ $# -eq 0 ] && nvidia-smi -L 2>/dev/null | grep -q '^GPU' || exit 0
VMFCOOP_TEST_GPU=1 python -m pytest -q -m gpu tests/gpu
