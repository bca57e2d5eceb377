# shellcheck shell=bash
# Sourced by few_shot.sh, base2new.sh and scripts/<method>/*.sh: the loop over shots, on the one device; the seeds are
# run together.
#
# From the environment:
#   DATA    folder of the data sets; unset: the embedded phantoms, and PhantomCLIP as the backbone
#   SEEDS   "1 2 3" or "1,2,3"; "1" for a method that draws no images and trains nothing
#   OUTPUT  "output" in the repository
#   OPTS    settings that override the config files, such as "OPTIM.MAX_EPOCH 20"; quotes hold a value with spaces
#           or backslashes together: OPTS="DATASET.GROUP_PATTERN '(P\d+)_'"; "VERBOSE True" shows all of the logs

source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env

ALL_SHOTS="1 2 4 8 16 32 64" # of the paper

_usage() {
    echo "usage: bash scripts/<method>/{few_shot,base2new}.sh DATASET SHOTS [BACKBONE], or bash scripts/{few_shot,base2new}.sh METHOD ..." >&2
    echo "  DATASET   one of: $(cd configs/datasets && echo *.yaml | sed 's/\.yaml//g')" >&2
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
    begin_tally
    for count in "${shots[@]}"; do
        "$run" "${flags[@]}" --shots "$count" --seed "${seeds[@]}" --output "${OUTPUT:-output}" || {
            noted $? "$2 on $3, K = $count"
            failed=1
        }
    done
    end_tally
    return $failed
}

_few_shot() { python train.py "$@" "${opts[@]}"; }

# Learn on the base classes and test on them, then test on the novel ones; print both and their harmonic mean.
_base2new() {
    python train.py "$@" --setting base2new --subsample base "${opts[@]}" &&
        python train.py "$@" --setting base2new --subsample new --eval-only "${opts[@]}" &&
        python -m report.base2new "$@"
}

few_shot() { _each _few_shot "$@"; }
base2new() { _each _base2new "$@"; }

# The rows of Table 2, in one process.
ablation() {
    local flags shots seeds opts
    _read "$@"
    python -m reproduce.ablation "${flags[@]}" --shots "${shots[@]}" --seed "${seeds[@]}" --output "${OUTPUT:-output}" \
        "${opts[@]}"
}
