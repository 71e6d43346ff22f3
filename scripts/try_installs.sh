#!/bin/sh
# Install each extra by itself in a new virtual environment, see that it does what it is for, and that
# what it lacks is named; print what each takes on the disk.
#
#     sh scripts/try_installs.sh [EXTRA...]    # default: environments small train films watch dashboard
#                                              #          notebook all
#
# `environments` is no extra at all, `small` the same with the oldest llvmlite, of which 250 MB is the
# most. PYTHON names the Python to make the environments with (python3), WARPZONE_WHEEL a wheel to
# install instead of one that is built here. PyTorch is fetched for each that has it, and deleted again.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
[ $# -gt 0 ] || set -- environments small train films watch dashboard notebook all
MOST_MB=250

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

# Megabytes that an installation has put there: neither pip, nor the byte code that Python makes.
size() {
    "$1" - <<'PROGRAM'
import pathlib, sysconfig
folder = pathlib.Path(sysconfig.get_path("purelib"))
ours = ("pip", "setuptools", "pkg_resources", "_distutils", "distutils")
files = [
    file
    for file in folder.rglob("*")
    if file.is_file()
    and file.suffix != ".pyc"
    and not file.relative_to(folder).parts[0].startswith(ours)
]
print(round(sum(file.stat().st_size for file in files) / 1e6))
PROGRAM
}

# A command must end with status 2 and name the extra.
refused() {
    extra=$1
    shift
    if told=$("$@" 2>&1); then
        echo "it went on: $*" >&2
        return 1
    fi
    echo "$told" | tr -d '\n' | grep -qF "pip install 'warpzone[$extra]'" || {
        echo "$* said: $told" >&2
        return 1
    }
}

play() {
    "$1" - <<'PROGRAM'
import warpzone
envs = warpzone.make_vec(["1-1", "1-2"], 8, seed=0)
envs.reset()
for _ in range(50):
    *_, infos = envs.step(envs.action_space.sample())
assert infos["x"].min() > 0
envs.close()
PROGRAM
}

# What is asked of an installation; $1 is its extra, $2 its bin.
try() {
    play "$2/python"
    "$2/warpzone" doctor >doctor || { cat doctor; return 1; }
    case $1 in
    environments | small)
        refused train "$2/warpzone" train 1-1
        refused train,watch "$2/warpzone" watch 1-1
        refused dashboard "$2/warpzone" dashboard
        refused films "$2/warpzone" map 1-1
        ;;
    train)
        "$2/warpzone" train 1-1 --steps 8192 --out run >/dev/null
        "$2/warpzone" eval run --episodes 4 >/dev/null
        refused films "$2/warpzone" record run -o clip.mp4
        refused dashboard "$2/warpzone" train 1-1 --dashboard
        ;;
    films)
        "$2/python" - <<'PROGRAM'
import warpzone
env = warpzone.RecordVideo(warpzone.make("1-1", keep_frames=True), "films")
env.reset(seed=0)
for _ in range(10):
    env.step(1)
env.close()
PROGRAM
        test -s films/rl-video-episode-0.mp4
        "$2/warpzone" map 1-1 >/dev/null
        refused train "$2/warpzone" record 1-1 -o clip.mp4
        ;;
    watch)
        "$2/python" - <<'PROGRAM'
import warpzone
env = warpzone.make("1-1", render_mode="human")
env.reset(seed=0)
env.step(0)
env.close()
PROGRAM
        refused train "$2/warpzone" watch 1-1
        ;;
    dashboard)
        "$2/python" - <<'PROGRAM'
import pathlib, urllib.request
from warpzone.dashboard.server import serving
with serving(pathlib.Path(".")) as address:
    assert urllib.request.urlopen(f"{address}/api/runs").status == 200
PROGRAM
        refused train "$2/warpzone" train 1-1
        ;;
    notebook)
        "$2/warpzone" train 1-1 --steps 8192 --out run >/dev/null
        "$2/warpzone" record 1-1 -o clip.mp4 >/dev/null
        "$2/warpzone" report run >/dev/null
        ;;
    all)
        # As on a machine without a screen: it ends with a film.
        env -u SDL_VIDEODRIVER -u DISPLAY -u WAYLAND_DISPLAY \
            "$2/warpzone" train 1-1 --steps 8192 --watch --dashboard --out run >/dev/null
        test -s run/1-1.mp4
        "$2/warpzone" report run >/dev/null
        "$2/warpzone" map 1-1 --run run >/dev/null
        ;;
    esac
}

failed=
for name in "$@"; do
    case $name in
    environments) wanted=$wheel more= ;;
    small) wanted=$wheel more='llvmlite<0.45' ;;
    *) wanted="$wheel[$name]" more= ;;
    esac
    rm -rf "$folder/venv" "$folder/work"
    mkdir "$folder/work"
    "$python" -m venv "$folder/venv"
    # shellcheck disable=SC2086
    if ! "$folder/venv/bin/python" -m pip install --quiet "$wanted" ${more:+"$more"}; then
        failed="$failed $name"
        continue
    fi
    megabytes=$(size "$folder/venv/bin/python")
    if [ "$name" = small ] && [ "$megabytes" -gt "$MOST_MB" ]; then
        echo "== $name: $megabytes MB, more than $MOST_MB"
        failed="$failed $name"
        continue
    fi
    set +e # as a condition, what is in the parentheses would not end at its first fault
    (
        set -e
        cd "$folder/work"
        try "$name" "$folder/venv/bin"
    )
    status=$?
    set -e
    if [ "$status" = 0 ]; then
        echo "== good: $name, $megabytes MB"
    else
        echo "== bad: $name, $megabytes MB"
        failed="$failed $name"
    fi
done
[ -z "$failed" ] || { echo "== failed:$failed"; exit 1; }
