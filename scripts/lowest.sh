#!/usr/bin/env bash
# Installs the lowest versions that setup.py allows, together, into a fresh environment in a temporary folder, and runs
# the quickstart on phantoms and a part of the tests there. PyTorch with its libraries is about 6 GB; the folder is
# removed at the end.
#
#   bash scripts/lowest.sh [PYTEST ARGUMENT]...    default: tests of the toolbox, of setup.py, of Ray and of one method
#   PYTHON    interpreter of the environment (default python3)
#   KEEP      folder for the environment, which then stays

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder="${KEEP:-$(mktemp -d)}"
[ -n "${KEEP:-}" ] || trap 'rm -rf -- "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
export PATH="$folder/venv/bin:$PATH" PYTHONPATH="$PWD:$PWD/toolbox" NO_VENV=1
unset DATA OPTS SEEDS
python scripts/floors.py test > "$folder/lowest.txt"
python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[test]" -c "$folder/lowest.txt"
python -m pip check

VMFCOOP_CACHE="$folder/cache" OUTPUT="$folder/output" bash scripts/quickstart.sh
[ $# -gt 0 ] || set -- tests/toolbox tests/test_supply.py tests/grid/test_ray.py tests/trainers/test_vmfcoop.py
CUDA_VISIBLE_DEVICES="" python -m pytest -q -m "" "$@"
