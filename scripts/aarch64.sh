#!/bin/sh
# Builds the native tests for AArch64 and runs them here under qemu, and compares play there with
# play on this processor, state for state.
#
#     sh scripts/aarch64.sh [FRAMES]         # default: 3000 of each cartridge
#
# Needs aarch64-linux-gnu-g++ and qemu-aarch64-static (Debian: g++-aarch64-linux-gnu,
# qemu-user-static), a C++ compiler for this processor, CMake and Ninja or make; CMake and Ninja come
# from .venv or .venv-check if they are there. WARPZONE_ROM names the cartridge for the tests of the
# real game, which is played besides the made ones. Native code of cartridges and Python are not
# tried here: the workflow `wheels` runs them on a machine of the kind.
set -eu
cd "$(dirname "$0")/.."
frames=${1:-3000}
for venv in .venv .venv-check; do
    [ -x "$venv/bin/cmake" ] && PATH=$PWD/$venv/bin:$PATH && break
done
for tool in aarch64-linux-gnu-g++ qemu-aarch64-static cmake; do
    command -v "$tool" >/dev/null || { echo "aarch64.sh: needs $tool" >&2; exit 2; }
done
generator=
command -v ninja >/dev/null && generator="-G Ninja"
root=$PWD/build/aarch64
run="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
mkdir -p "$root"

build() { # folder, options of CMake...
    folder=$1
    shift
    cmake -S . -B "$folder" $generator -DWARPZONE_MODULE=OFF -DWARPZONE_NATIVE_TESTS=ON \
        -DWARPZONE_PLAYER=ON "$@" >"$folder.log" 2>&1 &&
        cmake --build "$folder" >>"$folder.log" 2>&1 || { cat "$folder.log"; exit 1; }
}
echo "-- build"
build "$root/there" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
build "$root/here"

failed=
echo "-- native tests"
$run "$root/there/warpzone_native_tests" >"$root/tests.log" || failed="$failed tests"
grep -v '^ok ' "$root/tests.log"

echo "-- play"
"$root/here/warpzone_player" "$frames" ${WARPZONE_ROM:+"$WARPZONE_ROM"} >"$root/here.txt"
$run "$root/there/warpzone_player" "$frames" ${WARPZONE_ROM:+"$WARPZONE_ROM"} >"$root/there.txt"
wc -l <"$root/here.txt"
cmp "$root/here.txt" "$root/there.txt" || failed="$failed play"
tail -n 1 "$root/here.txt"
[ -z "$failed" ] || { echo "aarch64.sh: FAILED:$failed" >&2; exit 1; }
echo "-- the same on both"
