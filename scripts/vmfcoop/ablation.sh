#!/usr/bin/env bash
# bash scripts/vmfcoop/ablation.sh DATASET SHOTS [BACKBONE]; see scripts/run.sh
# The six rows of the paper's Table 2: few-shot at SHOTS, and base to novel at 16. Rows that lack a term lie in
# OUTPUT/ablation/<terms>/; the full method is what few_shot.sh and base2new.sh run, so it lies where they put it.
# `ablation.sh --rows` prints the rows alone: their names, and the settings that switch terms off.

rows() {
    local terms off
    for terms in ce ce_anc ce_anc_sc sce sce_anc sce_anc_sc; do
        off=""
        [[ "$terms" == sce* ]] || off+=" TRAINER.VMFCOOP.SCE False"
        [[ "$terms" == *_anc* ]] || off+=" TRAINER.VMFCOOP.LAMBDA_ANC 0.0"
        [[ "$terms" == *_sc ]] || off+=" TRAINER.VMFCOOP.LAMBDA_SC 0.0"
        echo "$terms$off"
    done
}
if [ "${1:-}" = --rows ]; then
    rows
    exit
fi
source "$(dirname "${BASH_SOURCE[0]}")/../run.sh"

output="${OUTPUT:-output}" given="${OPTS:-}" failed=0
while read -r terms off <&3; do
    [ -n "$off" ] && OUTPUT="$output/ablation/$terms" || OUTPUT="$output"
    OPTS="$given $off"
    echo "== vMFCoOp with $terms, into $OUTPUT"
    few_shot vMFCoOp "$@" || failed=1
    base2new vMFCoOp "$1" 16 "${@:3}" || failed=1
done 3< <(rows)
exit $failed
