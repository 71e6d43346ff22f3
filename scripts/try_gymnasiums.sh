#!/bin/sh
# Test the environments with the oldest Gymnasium that is supported, and with the newest.
#
#     sh scripts/try_gymnasiums.sh [VERSION...]    # default: 1.1.0 and the newest
#
# Each is put before the packages of PYTHON (default: .venv/bin/python), which stay as they are.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ $# -gt 0 ] || set -- 1.1.0 newest

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
failed=
for version in "$@"; do
    wanted=gymnasium==$version
    [ "$version" != newest ] || wanted=gymnasium
    "$python" -m pip install --quiet --no-deps --target "$folder/$version" "$wanted"
    echo "== $(PYTHONPATH=$folder/$version "$python" -c \
        'import gymnasium; print("gymnasium", gymnasium.__version__)')"
    if PYTHONPATH=$folder/$version "$python" -m pytest -q -p no:cacheprovider \
        tests/smb/test_wrappers.py tests/smb/test_faces.py tests/smb/test_env.py \
        tests/smb/test_elsewhere.py tests/smb/test_vector_env.py tests/nes/test_games.py; then
        echo "== good: $version"
    else
        failed="$failed $version"
    fi
done
[ -z "$failed" ] || { echo "== failed:$failed"; exit 1; }
