#!/usr/bin/env bash
# bash scripts/zeroshot_dn/few_shot.sh DATASET SHOTS [BACKBONE]; see scripts/run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"
few_shot ZeroshotDN "$@"
