#!/usr/bin/env bash
# Train a method on SHOTS images per class and test it:
#     bash scripts/few_shot.sh METHOD DATASET SHOTS [BACKBONE]
# METHOD is any of trainers/ (vmfcoop, coop, ..., and your own); see scripts/run.sh for DATA, SEEDS, OUTPUT and OPTS.
source "$(dirname "${BASH_SOURCE[0]}")/run.sh"
[ $# -gt 0 ] || _usage
few_shot "$@"
