# shellcheck shell=bash
# Sourced by scripts/<method>/tune.sh: choose a method's settings on validation images (python -m tuning --help).
#
# From the environment:
#   DATA    folder of the data sets; unset: the embedded phantoms, and PhantomCLIP as the backbone
#   TRIALS  settings that are tried for each data set, the default ones first (40)
#   JOINT   1: one setting for all data sets, by the mean of their accuracies
#   OUTPUT  of all runs: what is chosen goes to tuning/ below it ("output", in the folder you call from)
#   OPTS    settings that override the config files, such as "OPTIM.MAX_EPOCH 50"

source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
ensure_env
python -c "import optuna" 2>/dev/null || ensure_env tune

# tune TRAINER DATASETS SHOTS [BACKBONE]; DATASETS and SHOTS are lists of words.
tune() {
    if [ $# -lt 3 ] || [ $# -gt 4 ]; then
        echo 'usage: bash scripts/<method>/tune.sh "DATASET ..." "SHOTS ..." [BACKBONE]' >&2
        exit 2
    fi
    local words datasets shots backbone
    [ -n "${DATA:-}" ] || echo "DATA is not set: using the embedded phantoms (rendered, no medical data)."
    read -r -a datasets <<< "${2//,/ }"
    read -r -a shots <<< "${3//,/ }"
    backbone="$(named "${4:-}")"
    split OPTS
    python -m tuning --trainer "$1" --datasets "${datasets[@]}" --shots "${shots[@]}" --root "${DATA:-phantoms}" \
        ${backbone:+--backbone "$backbone"} --trials "${TRIALS:-40}" --output "$OUTPUT/tuning" \
        ${JOINT:+--joint} "${words[@]}"
}
