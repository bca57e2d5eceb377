# shellcheck shell=bash
# Sourced by few_shot.sh, base2new.sh and scripts/<method>/*.sh: the loop over data sets and shots, on the one device;
# the seeds are run together.
#
# From the environment:
#   DATA    folder of the data sets; unset: the embedded phantoms, and PhantomCLIP as the backbone
#   SEEDS   "1 2 3" or "1,2,3"; "1" for a method that draws no images and trains nothing
#   OUTPUT  folder of all runs: "output", in the folder you call from, as for train.py
#   WITH    a CoOp-style checkout whose trainers few_shot.sh and compare.sh know too, such as ../BiomedCoOp
#   OPTS    settings that override the config files, such as "OPTIM.MAX_EPOCH 20"; quotes hold a value with spaces
#           or backslashes together: OPTS="DATASET.GROUP_PATTERN '(P\d+)_'"; "VERBOSE True" shows all of the logs

source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
source scripts/datasets.sh # env.sh has gone to the repository
ensure_env

ALL_SHOTS="1 2 4 8 16 32 64" # of the paper

_usage() {
    echo "usage: bash scripts/<method>/few_shot.sh DATASET SHOTS [BACKBONE], or bash scripts/few_shot.sh METHOD ..." >&2
    echo "       base2new.sh likewise, of: $(cd scripts && echo */base2new.sh | sed 's,/base2new\.sh,,g')" >&2
    echo "  DATASET   one of: $(cd datasets && grep -l '^@DATASET_REGISTRY' ./*.py | sed 's,^\./,,; s,\.py$,,' | xargs)" >&2
    echo "            several in quotes, or all, which leaves out folder and table (images of your own, in DATA)" >&2
    echo "  SHOTS     images per class, such as 16; several in quotes; or all ($ALL_SHOTS)" >&2
    echo "  BACKBONE  BiomedCLIP (default where DATA is set), PhantomCLIP (default on phantoms), a name of \`python -m clip list\`, hf-hub:..., local-dir:..." >&2
    exit 2
}

# _read METHOD DATASET SHOTS [BACKBONE]: the words of what is run, into the arrays `flags`, `shots`, `seeds` and `opts`.
_read() {
    local trainer="$1" dataset="${2:-}" all="${3:-}" backbone each words
    backbone="$(named "${4:-}")"
    [ -n "$all" ] && [ $# -le 4 ] || _usage
    [ "$all" = all ] && all="$ALL_SHOTS"
    read -r -a shots <<< "${all//,/ }"
    for each in "${shots[@]}"; do
        [[ "$each" =~ ^[1-9][0-9]*$ ]] || { echo "Expected SHOTS such as 16, but got \"$each\"." >&2; _usage; }
    done
    if [ -z "${DATA:-}" ]; then
        DATA=phantoms
        echo "DATA is not set: using the embedded phantoms (rendered, no medical data); DATA=<folder> for real images."
    fi
    if [ -z "$backbone" ]; then
        [ "$DATA" = phantoms ] && backbone=PhantomCLIP || backbone=BiomedCLIP
    fi
    split SEEDS && seeds=("${words[@]}")
    split OPTS && opts=("${words[@]}")
    [ ${#seeds[@]} -gt 0 ] || seeds=(default)
    flags=(--root "$DATA" --dataset "$dataset" --backbone "$backbone" --trainer "$trainer")
}

# _each RUN METHOD DATASET SHOTS [BACKBONE]: calls RUN with the flags of each run; 1 if any of them failed.
_each() {
    local run="$1" count failed=0 flags shots seeds opts
    _read "${@:2}"
    for count in "${shots[@]}"; do
        "$run" "${flags[@]}" --shots "$count" --seed "${seeds[@]}" --output "$OUTPUT" || {
            noted $? "$2 on $3, K = $count"
            failed=1
        }
    done
    return $failed
}

_few_shot() { python train.py ${WITH:+--with "$WITH"} "$@" "${opts[@]}"; }

# Learn on the base classes and test on them, then test on the novel ones; print both and their harmonic mean.
_base2new() {
    python train.py "$@" --setting base2new --subsample base "${opts[@]}" &&
        python train.py "$@" --setting base2new --subsample new --eval-only "${opts[@]}" &&
        python -m report.base2new "$@" "${opts[@]}"
}

_few_shots() { _each _few_shot "$@"; }
_base2news() { _each _base2new "$@"; }
few_shot() { _told few_shot _few_shots "$@"; }
base2new() { _told base2new _base2news "$@"; }

# _told SETTING RUN METHOD DATASETS WORD...: as each_dataset, and tell at the end how many runs failed.
_told() {
    local failed=0
    begin_tally
    each_dataset "$@" || failed=1
    end_tally
    return $failed
}

# The rows of Table 2, in one process.
_ablation() {
    local flags shots seeds opts
    _read "$@"
    python -m reproduce.ablation "${flags[@]}" --shots "${shots[@]}" --seed "${seeds[@]}" --output "$OUTPUT" \
        "${opts[@]}"
}

ablation() { each_dataset few_shot _ablation "$@"; }
