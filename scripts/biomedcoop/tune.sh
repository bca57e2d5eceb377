#!/usr/bin/env bash
# bash scripts/biomedcoop/tune.sh "DATASET ..." "SHOTS ..." [BACKBONE]; see scripts/tune.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tune.sh"
tune BiomedCoOp "$@"
