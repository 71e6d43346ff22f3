#!/bin/sh
# Prove that warpzone installs where no C++ compiler is: a new virtual environment, and a PATH that
# holds nothing but it (no compiler, no linker, no CMake, no Ninja, no make).
#
#     sh scripts/install_without_compiler.sh [PYTHON [options of pip install ...]]
#
# e.g. `sh scripts/install_without_compiler.sh python3.12 --verbose`. Exits 0 only if the native
# module was built by Zig's compiler and runs the game.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
[ $# -eq 0 ] || shift

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
bin=$folder/venv/bin

# The environment is made anew, so that no CC, CXX or CMAKE_ variable reaches the build; what tells
# pip where packages come from stays.
settings=$(env | grep -E '^(PIP_|HTTPS?_PROXY=|https?_proxy=|NO_PROXY=|no_proxy=|SSL_CERT_)' || true)
bare() {
    (
        for name in $(env | cut -d= -f1 | grep -E '^[A-Za-z_][A-Za-z0-9_]*$'); do
            case $name in PWD | HOME) ;; *) unset "$name" ;; esac
        done
        IFS='
'
        for setting in $settings; do export "${setting?}"; done
        unset IFS
        PATH=$bin
        export PATH
        "$@"
    )
}

for tool in cc c++ gcc g++ clang clang++ ld ar cmake ninja make; do
    if bare command -v $tool; then
        echo "install_without_compiler.sh: $tool is still on the PATH" >&2
        exit 1
    fi
done

echo "== pip install . with PATH=$bin"
bare "$bin/python" -m pip install --verbose "$@" . >"$folder/log" 2>&1 || {
    tail -n 50 "$folder/log"
    exit 1
}
grep -E '^ *warpzone: ' "$folder/log"

echo "== run it"
cd "$folder" # away from the sources
bare "$bin/python" - <<'PROGRAM'
import warpzone
import warpzone._native as native

console = warpzone.Console()
console.reset()
console.step(0, frames=60)
picture = console.rgb()
assert len({tuple(colour) for colour in picture.reshape(-1, 3)}) > 3, "the title screen is empty"
print(f"{native.__file__}, built by {native.COMPILER}: 60 frames run, picture {picture.shape}")
PROGRAM
echo "== installed and run without a compiler"
