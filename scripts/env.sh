# shellcheck shell=bash
# Sourced by the other scripts: goes to the repository root, and sees to an environment with what setup.py names.
#
# From the environment:
#   PYTHON    interpreter that .venv is made with (default python3)
#   NO_VENV   1: use the active environment as it is, install nothing
#
# Relative paths in the environment, such as DATA=chest, mean the folder that the script was called from; so does the
# default of OUTPUT, "output", as that of --output does for train.py.

CALLER="$PWD"
export VMFCOOP_CALLER="$CALLER" # for the commands that a script tells its user to try
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export PYTHONPATH="$PWD:$PWD/toolbox${PYTHONPATH:+:$PYTHONPATH}" # before another Dassl

# absolute PATH: PATH as seen from the caller's folder.
absolute() {
    case "$1" in
        "" | /* | "~"*) printf '%s\n' "$1" ;;
        *) [ "$CALLER" = "$PWD" ] && printf '%s\n' "$1" || printf '%s\n' "$CALLER/$1" ;;
    esac
}

# named BACKBONE: the same, with the folder of a local-dir: as seen from the caller's folder.
named() {
    case "$1" in
        local-dir:*) printf 'local-dir:%s\n' "$(absolute "${1#local-dir:}")" ;;
        *) printf '%s\n' "$1" ;;
    esac
}

: "${OUTPUT:=output}"
for _name in DATA OUTPUT VMFCOOP_CACHE VMFCOOP_WEIGHTS HF_HOME HF_HUB_CACHE BIOMEDCOOP_CHECKOUT WITH; do
    # Not what is no path: unset, or the word that stands for the embedded phantoms.
    [ -z "${!_name:-}" ] || [ "$_name=${!_name}" = DATA=phantoms ] || export "$_name=$(absolute "${!_name}")"
done
case "${PYTHON:-}" in */*) PYTHON="$(absolute "$PYTHON")" ;; esac

# split NAME: the words of that variable into the array `words`; quotes hold a word with spaces together, as in
# OPTS='DATASET.NAME "my scans"'. Nothing in them is run or expanded.
split() {
    local lines word
    words=()
    [[ "${!1:-}" =~ [^[:space:]] ]] || return 0
    lines="$(xargs printf '%s\n' <<< "${!1}" 2>/dev/null && echo .)" || { # . keeps an empty last word
        echo "Expected words in $1, each quote closed on its line, but got: ${!1}" >&2
        exit 2
    }
    while IFS= read -r word; do words+=("$word"); done <<< "$lines"
    unset 'words[${#words[@]}-1]'
}

# ensure_env [EXTRA]: .venv with the dependencies, and those of an extra of setup.py ("test", which includes all others).
ensure_env() {
    local extra="${1:-}" python="${PYTHON:-python3}"
    [ "${NO_VENV:-}" = 1 ] && return
    if [ ! -x .venv/bin/python ]; then
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
            echo "Python >= 3.11 expected, found $("$python" --version 2>&1): set PYTHON to a newer one." >&2
            exit 1
        }
        "$python" -m venv .venv || exit 1
    fi
    export PATH="$PWD/.venv/bin:$PATH"
    local wanted
    wanted="$(cat setup.py)" # a changed one is installed again
    [ "$(cat .venv/installed-test 2>/dev/null)" = "$wanted" ] && return
    [ -z "$extra" ] && [ "$(cat .venv/installed- 2>/dev/null)" = "$wanted" ] && return
    echo "Installing into .venv (PyTorch with its libraries is about 6 GB: a few minutes the first time) ..."
    # Python compiles what is used when it is first used; to compile everything takes far longer.
    python -m pip install --quiet --disable-pip-version-check --no-compile -e ".${extra:+[$extra]}" || exit 1
    printf '%s\n' "$wanted" > ".venv/installed-$extra"
}

trap 'exit 130' INT # a loop ends with the command that Ctrl-C ends

# begin_tally: from now on, each command notes how its runs ended, and the script that came first tells it at its end.
begin_tally() {
    [ -z "${VMFCOOP_TALLY:-}" ] || return 0
    VMFCOOP_TALLY="$(mktemp)" || exit 1
    export VMFCOOP_TALLY
    trap 'rm -f -- "$VMFCOOP_TALLY"' EXIT
    own_tally=1
}

# noted STATUS WORD...: ends the script if its command was interrupted, and notes one that was ended from outside.
noted() {
    local status="$1"
    [ "$status" != 130 ] || exit 130
    [ "$status" -lt 126 ] || printf '1\t1\tfailed: %s: ended with exit status %s\n' "${*:2}" "$status" >> "$VMFCOOP_TALLY"
}

# end_tally: tells how many of how many runs failed, and why; a single command has told its errors itself.
end_tally() {
    [ -z "${own_tally:-}" ] || [ "$(wc -l < "$VMFCOOP_TALLY")" -lt 2 ] || python -m runs.tally "$VMFCOOP_TALLY"
}
