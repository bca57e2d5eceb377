# shellcheck shell=bash
# Sourced by run.sh and compare.sh: the data sets that a word names.

# read_datasets WORDS SETTING: into the array `datasets`, the data sets of WORDS ("btmri busi", "btmri,busi", or all);
# an unknown one ends the script before anything is run. A single one is left to the command that runs it.
read_datasets() {
    local found
    read -r -a datasets <<< "${1//,/ }"
    [ ${#datasets[@]} -gt 1 ] || [ "${datasets[*]}" = all ] || return 0
    found="$(python -m runs.named --setting "$2" "${datasets[@]}")" || exit 1
    read -r -a datasets <<< "${found//$'\n'/ }"
}

# each_dataset SETTING RUN METHOD DATASETS WORD...: RUN METHOD DATASET WORD... for each data set; 1 if any of them
# failed.
each_dataset() {
    local setting="$1" run="$2" method="$3" datasets dataset failed=0
    read_datasets "${4:-}" "$setting"
    [ ${#datasets[@]} -gt 0 ] || _usage
    for dataset in "${datasets[@]}"; do
        [ ${#datasets[@]} -eq 1 ] || heading "$method on $dataset"
        "$run" "$method" "$dataset" "${@:5}" || failed=1
    done
    return $failed
}

heading() { printf '\n== %s ==\n' "$1"; }
