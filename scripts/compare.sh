#!/usr/bin/env bash
# Runs methods side by side, then prints their table with the paired differences, draws it beside the runs, and names
# two commands to try; of several data sets ("btmri busi", or all) each has its table:
#     bash scripts/compare.sh DATASET SHOTS METHOD...
# METHOD is any of trainers/ (zeroshot, ensemble, coop, biomedcoop, vmfcoop, ..., and your own). Finished runs are not
# run again. BACKBONE, AGAINST (the method that is compared with the others; the last one named, unless it is set), and
# what scripts/run.sh reads (DATA, SEEDS, OUTPUT, WITH, OPTS), come from the environment.

source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
source scripts/datasets.sh # env.sh has gone to the repository
ensure_env
if [ $# -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' scripts/compare.sh >&2
    exit 2
fi
if [[ " ${OPTS:-} " == *" PROTOCOL"[\ =]* ]]; then # of all methods: which rows are meant could not be told
    echo "Expected a protocol behind a method's name, such as clip_adapter:published, but OPTS has one: move it." >&2
    exit 2
fi
read_datasets "$1" few_shot
read -r -a shots <<< "${2//,/ }"
shift 2
BACKBONE="$(named "${BACKBONE:-}")"
[ "${DATA:=phantoms}" = phantoms ] && : "${BACKBONE:=PhantomCLIP}" || : "${BACKBONE:=BiomedCLIP}"
export DATA OUTPUT
split OPTS && opts=("${words[@]}")
failed=0
begin_tally
[ "$DATA" = phantoms ] && echo "The embedded phantoms (rendered, no medical data); DATA=<folder> for real images."
for dataset in "${datasets[@]}"; do
    [ ${#datasets[@]} -eq 1 ] || heading "$dataset"
    for method in "$@"; do
        bash scripts/few_shot.sh "$method" "$dataset" "${shots[*]}" "$BACKBONE" || {
            noted $? "$method on $dataset"
            failed=1
        }
    done
    python -m report.compare --methods "$@" ${AGAINST:+--against "$AGAINST"} --shots "${shots[@]}" --output "$OUTPUT" \
        --dataset "$dataset" --root "$DATA" --backbone "$BACKBONE" "${opts[@]}" || failed=1
done
end_tally
exit $failed
