#!/bin/sh
# Build, install and test the native part and the environments with several versions of Python.
#
#     sh scripts/try_pythons.sh [PYTHON...]        # default: python3.11 python3.12 python3.13
#
# Each gets a new virtual environment with only what the games need: PyTorch, gigabytes on some
# machines, is left out, and so are the tests of learning.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- python3.11 python3.12 python3.13

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1
failed=
for python in "$@"; do
    rm -rf "$folder/venv"
    if ! "$python" -m venv "$folder/venv"; then
        failed="$failed $python"
        continue
    fi
    new=$folder/venv/bin/python
    echo "== $("$new" --version)"
    if "$new" -m pip install --quiet numpy gymnasium pydantic platformdirs \
        pytest pytest-timeout hypothesis cynes &&
        "$new" -m pip install --quiet --no-deps . &&
        "$new" -m pytest -q tests/game tests/parity; then
        echo "== good: $python"
    else
        failed="$failed $python"
    fi
done
[ -z "$failed" ] || { echo "== failed:$failed"; exit 1; }
