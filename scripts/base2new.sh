#!/usr/bin/env bash
# Train a method on the base classes and test it on these and on the novel ones:
#     bash scripts/base2new.sh METHOD DATASET SHOTS [BACKBONE]
# METHOD is any of trainers/ (vmfcoop, coop, ..., and your own); see scripts/run.sh for DATA, SEEDS, OUTPUT and OPTS.
source "$(dirname "${BASH_SOURCE[0]}")/run.sh"
[ $# -gt 0 ] || _usage
base2new "$@"
