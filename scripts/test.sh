#!/usr/bin/env bash
# All checks: lint, format, tests. Makes .venv if needed.
#
#   bash scripts/test.sh              all tests but those marked slow, side by side on up to four cores
#   bash scripts/test.sh --slow       all tests
#   bash scripts/test.sh ARGUMENT...  what pytest makes of these, in one process
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env test
set -e
ruff check .
ruff format --check .
chosen=()
if [ "${1:-}" = --slow ]; then
    chosen=(-m "")
    shift
fi
if [ $# = 0 ]; then
    chosen+=(--numprocesses auto --maxprocesses 4 --dist loadfile)
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
fi
python -m pytest -q "${chosen[@]}" "$@"
