#!/usr/bin/env bash
# Runs what Tables 1 to 3 miss on the phantoms and writes docs/RESULTS.md: bash scripts/results.sh [--datasets ...]
# Arguments go to `python -m reproduce.results` (--help lists them).
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env
exec python -m reproduce.results "$@"
