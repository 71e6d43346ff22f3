#!/bin/sh
# Everything that must hold before a change is good: format, lint, types, documentation, native
# tests, all tests.
#
#     sh scripts/check.sh
#
# Uses the virtual environment .venv if there is one, else makes .venv-check. All checks run even
# after one has failed; the exit status is 0 only if every one passed. PYTHON names the Python to
# make the environment with, WARPZONE_SANITIZE the sanitizers of the native tests and fuzz targets.
set -eu
cd "$(dirname "$0")/.."

usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

venv=.venv
[ -x "$venv/bin/python" ] || venv=.venv-check
if [ ! -x "$venv/bin/python" ]; then
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        usable "$python" && break
    done
    usable "$python" || { echo "check.sh: no Python 3.11 or newer found; name one in PYTHON" >&2; exit 1; }
    "$python" -m venv "$venv"
fi
python=$venv/bin/python

export PIP_DISABLE_PIP_VERSION_CHECK=1
echo "== install into $venv"
"$python" -m pip install --quiet --progress-bar off '.[test]'

echo "== ROM"
WARPZONE_ROM=$("$python" -c '
import sys
from warpzone.errors import RomError
from warpzone.nes.rom import find_rom
try:
    print(find_rom(say=lambda line: print(line, file=sys.stderr)).path)
except RomError as error:
    sys.exit(f"check.sh: {error}")')
export WARPZONE_ROM
echo "$WARPZONE_ROM"

failed=
check() { # name, command...
    name=$1
    shift
    echo "== $name"
    "$@" || failed="$failed, $name"
}

native_tests() {
    if ! "$python" -c 'import sys; sys.path.insert(0, "build_backend")
from warpzone_build import find_compiler; sys.exit(find_compiler() is None)'; then
        echo "no C++ compiler on this machine: native tests left out"
        return
    fi
    PATH=$PWD/$venv/bin:$PATH sh scripts/sanitize.sh
}

mkdir -p build
check "ruff check" "$python" -m ruff check .
check "ruff format" "$python" -m ruff format --check .
check "mypy" "$python" -m mypy
check "imports" "$venv/bin/lint-imports" --no-cache --no-logo
check "clang-format" find native \( -name '*.hpp' -o -name '*.h' -o -name '*.cpp' \) \
    -exec "$venv/bin/clang-format" --dry-run -Werror {} +
check "documentation" env NO_MKDOCS_2_WARNING=1 "$python" -m mkdocs build --strict --quiet
check "native tests" native_tests
[ -z "$failed" ] || echo "== FAILED before the tests: ${failed#, }"

echo "== pytest"
status=0
"$python" -m pytest -q || status=$?
[ -z "$failed" ] || exit 1
exit $status
