#!/bin/sh
# Run the notebooks of examples/ where a hosted notebook runs: its versions of what it brings, none of
# which may change, no screen.
#
#     sh scripts/try_hosted_notebook.sh [PYTHON]    # default: python3.13
#
# The versions are those of Colab's CPU image of 19 August 2026 (googlecolab/backend-info), which also
# is what Kaggle's is made of. WARPZONE_WHEEL names a wheel to install instead of one that is built
# here. It fetches PyTorch and whatever comes with it, gigabytes.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3.13}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off
unset DISPLAY WAYLAND_DISPLAY SDL_VIDEODRIVER || true
cat >"$folder/image" <<'VERSIONS'
filelock==3.32.3
gymnasium==1.3.0
imageio-ffmpeg==0.6.0
ipykernel==6.17.1
ipython==7.34.0
jupyter_client==7.4.9
llvmlite==0.44.0
nbclient==0.10.4
numba==0.61.2
numpy==2.1.3
pillow==11.3.0
platformdirs==4.11.3
plotly==5.24.1
pydantic==2.13.4
rich==13.9.4
safetensors==0.8.0
starlette==1.6.0
torch==2.11.0
tornado==6.5.7
typer==0.27.1
uvicorn==0.52.3
websockets==15.0.1
VERSIONS

"$python" -m venv "$folder/venv"
bin=$folder/venv/bin
wheel=${WARPZONE_WHEEL:-}
if [ -z "$wheel" ]; then
    echo "== build"
    "$bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
    wheel=$(echo "$folder"/warpzone-*.whl)
fi
wheel=$(realpath "$wheel")
echo "== the image"
"$bin/python" -m pip install --quiet nbformat -r "$folder/image"
"$bin/python" -m pip freeze | grep -v '^warpzone' >"$folder/before"
echo "== install"
"$bin/python" -m pip install --quiet "$wheel[notebook]"
"$bin/python" -m pip freeze | grep -v '^warpzone' >"$folder/after"
if grep -vxFf "$folder/after" "$folder/before"; then
    echo "try_hosted_notebook.sh: these have another version now" >&2
    exit 1
fi
echo "== brought along: $(grep -vxFf "$folder/before" "$folder/after" | tr '\n' ' ')"

cp examples/*.ipynb "$folder"
cd "$folder"
"$bin/python" - <<'PROGRAM'
# Numba makes code of its own, before and after warpzone's has been made, with the same LLVM.
import numba, warpzone

@numba.njit
def total(count):
    found = 0
    for number in range(count):
        found += number
    return found

assert total(10) == 45
warpzone.set_engine("compiled")  # raises where there is no native code
envs = warpzone.make_vec("1-1", 8, seed=0)
envs.reset()
for _ in range(50):
    *_, infos = envs.step(envs.action_space.sample())
assert infos["x"].min() > 0
envs.close()
assert numba.njit(lambda x: x * 2)(21) == 42
PROGRAM
for notebook in *.ipynb; do
    echo "== $notebook"
    "$bin/python" - "$notebook" <<'PROGRAM'
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
shown = [list(out.data) for cell in notebook.cells for out in cell.get("outputs", ()) if "data" in out]
assert any("text/html" in kinds for kinds in shown), shown
PROGRAM
done
echo "== good: $("$bin/python" --version), $("$bin/python" -m pip freeze | grep -E '^(torch|numba|llvmlite|numpy)==' | tr '\n' ' ')"
