#!/usr/bin/env bash
# bash scripts/vmfcoop/ablation.sh DATASET SHOTS [BACKBONE]; see scripts/run.sh
# The six rows of the paper's Table 2: few-shot at SHOTS, and base to novel at 16. Rows that lack a term lie in
# OUTPUT/ablation/<terms>/; the full method is what few_shot.sh and base2new.sh run, so it lies where they put it.
source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"
ablation vMFCoOp "$@"
