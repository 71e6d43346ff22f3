#!/bin/sh
# Write src/warpzone/_native.pyi anew from the installed native module.
#
#     sh scripts/stubs.sh            # with PYTHON, or else .venv's or the python3 on the PATH
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$(command -v "$python")" ] || python=python3
"$python" -m nanobind.stubgen -q --exclude-values -m warpzone._native -o src/warpzone/_native.pyi
