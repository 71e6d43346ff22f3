#!/bin/sh
# Tests warpzone with everything that it requires at its oldest, and with everything at its newest.
#
#     sh scripts/try_bounds.sh [PYTHON [WHEEL]]    # default: python3, and a wheel that is built
#
# The oldest Python that is supported has the oldest of everything. uv chooses the versions
# (--resolution lowest-direct: the lower bounds of pyproject.toml), of the environments and of what
# needs no PyTorch: the extras films, watch and dashboard.
#
# PyTorch is gigabytes on some machines: WARPZONE_TORCH=VERSION brings that one to both ends,
# WARPZONE_TORCH=OLDEST:NEWEST one to each, and with it the extras train and tensorboard and the tests
# of learning. WARPZONE_SERVICES="ray onnx hub wandb mlflow trackio notebook", or some of these, then
# tests them instead, each extra by itself: what they require need not fit together. NumPy and llvmlite
# are at the same end. ENDS="lowest-direct" is one end alone.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
oldest=${WARPZONE_TORCH-} newest=${WARPZONE_TORCH-}
case $oldest in *:*) oldest=${oldest%%:*} newest=${newest##*:} ;; esac
if [ -n "${WARPZONE_SERVICES-}" ] && [ -z "$oldest" ]; then
    echo "try_bounds.sh: WARPZONE_SERVICES needs WARPZONE_TORCH" >&2
    exit 2
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

# A new environment: $1 the end, $2 its PyTorch or nothing, $3 the extras, $4 what the tests need.
install() {
    echo "== $1${2:+, PyTorch $2}: $3"
    rm -rf "$folder/venv"
    "$python" -m venv "$folder/venv"
    new=$folder/venv/bin/python
    echo "${2:+torch==$2}" >"$folder/overrides"
    # shellcheck disable=SC2046,SC2086 # words
    "$folder/tools/bin/uv" pip install --quiet --python "$new" --resolution "$1" \
        --overrides "$folder/overrides" ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} \
        -r pyproject.toml $(echo "$3" | sed 's/[^,]*,*/--extra & /g; s/,//g') &&
        "$new" -m pip install --quiet "warpzone[$3] @ file://$wheel" $4 &&
        "$new" -m pip check &&
        "$new" -m pip list --format freeze &&
        "$new" -m warpzone --help >"$folder/help"
}

tested() { # TESTS, of what only an extra is for
    "$new" -m pytest -q -p no:cacheprovider "$@"
}

failed=
note() { # END EXTRAS STATUS
    if [ "$3" -eq 0 ]; then echo "== good: $1: $2"; else failed="$failed $1:$2"; fi
}

for end in ${ENDS:-lowest-direct highest}; do
    torch=$oldest
    [ "$end" = lowest-direct ] || torch=$newest
    if [ -n "${WARPZONE_SERVICES-}" ]; then
        for extra in $WARPZONE_SERVICES; do
            with="pytest pytest-timeout psutil"
            case $extra in
            ray)
                tests="tests/fleet/test_plan.py tests/fleet/test_evaluation.py
                    tests/fleet/test_fleet.py::test_a_trial_that_fails_does_not_stop_the_others"
                ;;
            onnx) tests=tests/agents/test_export.py with="$with onnxruntime" ;;
            hub) tests=tests/agents/test_sharing.py ;;
            wandb | mlflow | trackio) tests="tests/trackers/test_services.py -k $extra" ;;
            notebook) tests=tests/test_notebook_example.py with="$with ipykernel nbclient" ;;
            *) echo "try_bounds.sh: no tests for the extra $extra" >&2; exit 2 ;;
            esac
            status=0
            # shellcheck disable=SC2086 # words
            { install "$end" "$torch" "train,films,$extra" "$with" && tested $tests; } || status=$?
            note "$end" "$extra" "$status"
        done
        continue
    fi
    extras=films,watch,dashboard with="pytest pytest-timeout hypothesis"
    tests="tests/maps/test_cache.py tests/maps/test_episode_ends.py tests/maps/test_renderer.py"
    if [ -n "$torch" ]; then
        extras=$extras,train,tensorboard with="$with httpx playwright psutil"
        tests="$tests tests/maps tests/video tests/ppo tests/agents/test_agent.py
            tests/training/test_agent_file.py tests/training/test_metrics.py
            tests/report/test_plots.py tests/dashboard/test_app.py"
    fi
    status=0
    # shellcheck disable=SC2086 # words
    { install "$end" "$torch" "$extras" "$with" &&
        "$new" -m warpzone levels >"$folder/levels" &&
        "$new" scripts/try_wheel.py $tests; } || status=$?
    note "$end" "$extras" "$status"
done
[ -z "$failed" ] || { echo "== failed:$failed"; exit 1; }
