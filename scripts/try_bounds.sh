#!/bin/sh
# Tests warpzone with everything that it requires at its oldest, and with everything at its newest.
#
#     sh scripts/try_bounds.sh [PYTHON [WHEEL]]    # default: python3, and a wheel that is built
#
# The oldest Python that is supported has the oldest of everything. uv chooses the versions
# (--resolution lowest-direct: the lower bounds of pyproject.toml), of the environments and of what
# needs no PyTorch: the extras films, watch and dashboard. PyTorch is gigabytes on some machines:
# WARPZONE_TORCH=VERSION brings that one to both ends, and with it the extras train and tensorboard
# and the tests of learning.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
extras=films,watch,dashboard
tests="tests/maps/test_cache.py tests/maps/test_episode_ends.py tests/maps/test_renderer.py"
with="pytest pytest-timeout hypothesis"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
: >"$folder/overrides"
if [ -n "${WARPZONE_TORCH-}" ]; then
    echo "torch==$WARPZONE_TORCH" >"$folder/overrides"
    extras=$extras,train,tensorboard
    tests="$tests tests/maps tests/video tests/ppo tests/agents/test_agent.py tests/training/test_agent_file.py
        tests/training/test_metrics.py tests/report/test_plots.py tests/dashboard/test_app.py"
    with="$with httpx playwright psutil"
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy
"$python" -m venv "$folder/tools"
"$folder/tools/bin/python" -m pip install --quiet uv
wheel=${2-}
if [ -z "$wheel" ]; then
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder/wheel" .
    wheel=$(echo "$folder"/wheel/*.whl)
fi
wheel=$(realpath "$wheel")

failed=
for end in lowest-direct highest; do
    echo "== $end"
    rm -rf "$folder/venv"
    "$python" -m venv "$folder/venv"
    new=$folder/venv/bin/python
    # shellcheck disable=SC2086 # words
    if "$folder/tools/bin/uv" pip install --quiet --python "$new" --resolution "$end" \
        --overrides "$folder/overrides" ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} \
        -r pyproject.toml $(echo "$extras" | sed 's/[^,]*,*/--extra & /g; s/,//g') &&
        "$new" -m pip install --quiet "warpzone[$extras] @ file://$wheel" $with &&
        "$new" -m pip check &&
        "$new" -m pip list --format freeze &&
        "$new" -m warpzone --help >"$folder/help" &&
        "$new" -m warpzone levels >"$folder/levels" &&
        "$new" scripts/try_wheel.py $tests; then
        echo "== good: $end"
    else
        failed="$failed $end"
    fi
done
[ -z "$failed" ] || { echo "== failed:$failed"; exit 1; }
