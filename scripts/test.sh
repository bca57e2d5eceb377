#!/usr/bin/env bash
# All checks: lint, format, types, shell scripts, tests, and where there is a GPU those that need one. Makes .venv if needed.
#
#   bash scripts/test.sh              all tests but those marked slow, side by side on up to four cores
#   bash scripts/test.sh --slow       all tests
#   bash scripts/test.sh ARGUMENT...  what pytest makes of these, in one process
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env test
set -e
ruff check .
ruff format --check .
mypy
find scripts -name '*.sh' -print0 | xargs -0 shellcheck .ci/run
chosen=()
if [ "${1:-}" = --slow ]; then
    chosen=(-m "")
    shift
fi
if [ $# = 0 ]; then
    chosen+=(--numprocesses auto --maxprocesses 4 --dist loadfile)
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
fi
CUDA_VISIBLE_DEVICES="" python -m pytest -q "${chosen[@]}" "$@" # the same on every machine
[ $# -eq 0 ] && nvidia-smi -L 2>/dev/null | grep -q '^GPU' || exit 0
VMFCOOP_TEST_GPU=1 python -m pytest -q -m gpu tests/gpu
