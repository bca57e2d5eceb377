#!/usr/bin/env bash
# Runs methods side by side, then prints their table with the paired differences, draws it beside the runs, and names
# two commands to try:
#     bash scripts/compare.sh DATASET SHOTS METHOD...
# METHOD is any of trainers/ (zeroshot, ensemble, coop, biomedcoop, vmfcoop, ..., and your own). Finished runs are not
# run again. BACKBONE, and what scripts/run.sh reads (DATA, SEEDS, OUTPUT, OPTS), come from the environment.

source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env
if [ $# -lt 3 ]; then
    sed -n '2,6s/^# \{0,1\}//p' scripts/compare.sh >&2
    exit 2
fi
if [[ " ${OPTS:-} " == *" PROTOCOL "* ]]; then # of all methods: which rows are meant could not be told
    echo "Expected a protocol behind a method's name, such as clip_adapter:published, but OPTS has one: move it." >&2
    exit 2
fi
dataset="$1"
read -r -a shots <<< "${2//,/ }"
shift 2
BACKBONE="$(named "${BACKBONE:-}")"
[ "${DATA:=phantoms}" = phantoms ] && : "${BACKBONE:=PhantomCLIP}" || : "${BACKBONE:=BiomedCLIP}"
export DATA OUTPUT="${OUTPUT:-output}"
failed=0
begin_tally
[ "$DATA" = phantoms ] && echo "The embedded phantoms (rendered, no medical data); DATA=<folder> for real images."
for method in "$@"; do
    bash scripts/few_shot.sh "$method" "$dataset" "${shots[*]}" "$BACKBONE" || {
        noted $? "$method"
        failed=1
    }
done
python -m report.compare --output "$OUTPUT" --dataset "$dataset" --root "$DATA" --shots "${shots[@]}" \
    --backbone "$BACKBONE" --methods "$@" || failed=1
end_tally
exit $failed
