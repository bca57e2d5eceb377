#!/usr/bin/env bash
# All checks: lint, format, tests. Makes .venv if needed. Arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env test
set -e
ruff check .
ruff format --check .
exec python -m pytest -q "$@"
