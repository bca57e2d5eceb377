#!/usr/bin/env bash
# bash scripts/vmfcoop/ablation.sh DATASET SHOTS [BACKBONE]; see scripts/run.sh
# The six rows of the paper's Table 2: few-shot at SHOTS, and base to novel at 16. The runs lie where few_shot.sh and
# base2new.sh put them; the folders of rows that lack a term say so (..._claude__LAMBDA_SC=0).
source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"
ablation vMFCoOp "$@"
