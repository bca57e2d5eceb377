# Sourced by the other scripts: goes to the repository root, and sees to an environment with what setup.py names.
#
# From the environment:
#   PYTHON    interpreter that .venv is made with (default python3)
#   NO_VENV   1: use the active environment as it is, install nothing

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

# ensure_env [EXTRA]: .venv with the dependencies, and those of an extra of setup.py ("test", which includes all others).
ensure_env() {
    local extra="${1:-}" python="${PYTHON:-python3}"
    [ "${NO_VENV:-}" = 1 ] && return
    if [ ! -x .venv/bin/python ]; then
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
            echo "Python >= 3.10 expected, found $("$python" --version 2>&1): set PYTHON to a newer one." >&2
            exit 1
        }
        "$python" -m venv .venv || exit 1
    fi
    export PATH="$PWD/.venv/bin:$PATH"
    local wanted
    wanted="$(cat setup.py toolbox/setup.py)" # a changed one is installed again
    [ "$(cat .venv/installed-test 2>/dev/null)" = "$wanted" ] && return
    [ -z "$extra" ] && [ "$(cat .venv/installed- 2>/dev/null)" = "$wanted" ] && return
    echo "Installing into .venv (PyTorch with its libraries is about 6 GB: a few minutes the first time) ..."
    # Python compiles what is used when it is first used; to compile everything takes far longer.
    python -m pip install --quiet --disable-pip-version-check --no-compile -e toolbox -e ".${extra:+[$extra]}" || exit 1
    printf '%s\n' "$wanted" > ".venv/installed-$extra"
}
