#!/usr/bin/env bash
# bash scripts/zeroshot_dn/base2new.sh DATASET SHOTS [BACKBONE]; see scripts/run.sh
source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"
base2new ZeroshotDN "$@"
