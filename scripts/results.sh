#!/usr/bin/env bash
# Runs the experiments of Tables 1 to 3 that are missing on the phantoms, and writes docs/RESULTS.md: bash scripts/results.sh [--datasets ...]
# Arguments go to `python -m reproduce.results` (--help lists them).
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env
exec python -m reproduce.results "$@"
