#!/bin/sh
# Everything that must hold before a change is good: format, lint, types, imports, documentation,
# native tests, all tests.
#
#     sh scripts/check.sh            # what CI runs, some half an hour on two cores
#     sh scripts/check.sh --quick    # while you change code, under a minute: lint, types, unit tests
#
# Uses the virtual environment .venv if there is one, else makes .venv-check. All checks run even
# after one has failed; the exit status is 0 only if every one passed. PYTHON names the Python to
# make the environment with, WARPZONE_SANITIZE the sanitizers of the native tests and fuzz targets,
# WARPZONE_JOBS how many processes run tests (2). WARPZONE_LOCKED=1 installs exactly the files whose
# hashes are in .ci/requirements.txt (scripts/lock.py), not the newest that fit; CI does.
set -eu
cd "$(dirname "$0")/.."

case "${1-}" in
"") quick= ;;
--quick) quick=yes ;;
*) echo "check.sh: there is only --quick, not $1" >&2; exit 2 ;;
esac

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
# Whether the environment has what the checks need, and whether it runs this folder's own sources.
ready='import grimp, mypy, nanobind, pytest, ruff, scikit_build_core, warpzone, xdist'
here='import pathlib, sys, warpzone
sys.exit(not pathlib.Path(warpzone.__file__).resolve().is_relative_to(pathlib.Path("src").resolve()))'
# As wheels only: to build one, pip would install what no lock names.
locked() {
    "$python" -m pip install --quiet --progress-bar off --no-deps --only-binary :all: --require-hashes "$@"
}
if [ -z "$quick" ] || ! "$python" -c "$ready" 2>/dev/null; then
    echo "== install into $venv"
    if [ -n "${WARPZONE_LOCKED-}" ]; then
        locked -r .ci/requirements.txt
        # The build for CPUs alone is not on every index.
        locked -r .ci/torch-cpu.txt 2>"$venv/torch-cpu.log" || locked -r .ci/torch.txt
        # What builds it is installed, and pip check misses nothing.
        "$python" -m pip install --quiet --progress-bar off --no-deps --no-build-isolation .
        "$python" -m pip check
    else
        "$python" -m pip install --quiet --progress-bar off '.[test]'
    fi
elif ! "$python" -c "$here"; then
    echo "== install this version into $venv"
    "$python" -m pip install --quiet --progress-bar off --no-deps --no-build-isolation .
fi

echo "== ROM"
WARPZONE_ROM=$("$python" -c '
import sys
from warpzone.errors import RomError
from warpzone.smb.rom import find_rom
try:
    print(find_rom(log=lambda line: print(line, file=sys.stderr)).path)
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

# Tests of a file stay together, as do those of a browser (tests/conftest.py).
tests="$python -m pytest -q -n ${WARPZONE_JOBS:-2} --dist loadgroup"

if [ -n "$quick" ]; then
    types=$(mktemp)
    "$python" -m mypy >"$types" 2>&1 & # while the others run
    mypy=$!
    check "ruff check" "$python" -m ruff check --quiet .
    check "ruff format" "$python" -m ruff format --check --quiet .
    check "unit tests" $tests -m "not slow" $(cat tests/quick.txt)
    check "mypy" wait "$mypy"
    cat "$types"
    rm -f "$types"
    [ -z "$failed" ] || { echo "== FAILED: ${failed#, }"; exit 1; }
    exit 0
fi

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
$tests || status=$?
[ -z "$failed" ] || exit 1
exit $status
