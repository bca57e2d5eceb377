#!/usr/bin/env bash
# bash scripts/zeroshot/few_shot.sh DATASET SHOTS [BACKBONE]; see scripts/run.sh
SEEDS="${SEEDS:-1}" # no images are drawn, nothing is trained: all seeds are alike
source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"
few_shot ZeroshotCLIP "$@"
