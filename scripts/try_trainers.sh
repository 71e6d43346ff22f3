#!/bin/sh
# Runs the tests of trainers that do not install beside everything else: each in a new environment,
# with the versions that docs/trainers.md names.
#
#     sh scripts/try_trainers.sh [rllib|tianshou]...    # default: both
#
# RLlib wants gymnasium 1.2.2; Tianshou older versions of pandas and filelock than Ray and Torch have
# here. PYTHON names the Python to make the environments with (python3), WARPZONE_WHEEL a wheel to
# install instead of one that is built here. Linux gets PyTorch with CUDA, gigabytes, where no index
# with the build for CPUs alone is named (PIP_EXTRA_INDEX_URL).
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
[ $# -gt 0 ] || set -- rllib tianshou

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
wheel=${WARPZONE_WHEEL:-}
if [ -z "$wheel" ]; then
    echo "== build"
    "$python" -m venv "$folder/build"
    "$folder/build/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
    wheel=$(echo "$folder"/warpzone-*.whl)
fi
wheel=$(realpath "$wheel")

failed=
for name in "$@"; do
    case $name in
    rllib) packages='ray[rllib]==2.60.0' module=ray.rllib tests='tests/compat/test_rllib.py tests/test_examples.py' ;;
    tianshou) packages='tianshou==2.0.1' module=tianshou tests=tests/test_examples.py ;;
    *) echo "try_trainers.sh: there are rllib and tianshou, not $name" >&2; exit 2 ;;
    esac
    rm -rf "$folder/venv"
    "$python" -m venv "$folder/venv"
    new=$folder/venv/bin/python
    # shellcheck disable=SC2086 # words
    if "$new" -m pip install --quiet "$wheel[train]" $packages torch==2.13.0 \
        'pytest>=8.2,<9.2' pytest-timeout &&
        "$new" -m pip check &&
        "$new" -c "import $module" &&
        "$new" -m pip list --format freeze | grep -E '^(gymnasium|numpy|ray|tianshou|torch)==' &&
        "$new" -m pytest -q -p no:cacheprovider $tests -k "$name"; then
        echo "== good: $name"
    else
        failed="$failed $name"
    fi
done
[ -z "$failed" ] || { echo "== failed:$failed"; exit 1; }
