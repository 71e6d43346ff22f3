#!/bin/sh
# The native tests and the fuzz targets with AddressSanitizer and UndefinedBehaviorSanitizer, then
# what of them has threads, and fewer inputs, with ThreadSanitizer.
#
#     sh scripts/sanitize.sh              what CI runs: the same inputs each time
#     sh scripts/sanitize.sh 1000000 2    so many inputs for each target, from another seed
#     sh scripts/sanitize.sh 1500 1 10    and the API fuzzer (scripts/fuzz_api.py) for ten minutes
#                                         with each, on a Python module that is built so
#
# Needs a C++ compiler with these sanitizers, CMake and Ninja or make; takes CMake and Ninja from
# .venv or .venv-check if they are there; the API fuzzer wants one of these. What this machine cannot do is left out with a word why.
# WARPZONE_SANITIZE names the sanitizers (default "address,undefined thread"), WARPZONE_ROM the
# cartridge for the tests that want the real game.
set -eu
cd "$(dirname "$0")/.."
runs=${1:-1500}
seed=${2:-1}
minutes=${3:-0}
python=
for venv in .venv .venv-check; do
    [ -x "$venv/bin/cmake" ] && PATH=$PWD/$venv/bin:$PATH && python=$PWD/$venv/bin/python && break
done
compiler=
for name in ${CXX:-c++ g++ clang++}; do
    "$name" --version >/dev/null 2>&1 && compiler=$name && break
done
[ -n "$compiler" ] || { echo "sanitize.sh: no C++ compiler found; name one in CXX" >&2; exit 1; }
root=$PWD
mkdir -p build/sanitize

# ThreadSanitizer finds its memory taken where the kernel spreads addresses over more bits than it
# knows of. Some containers forbid to switch that off.
fixed=
setarch "$(uname -m)" -R true 2>/dev/null && fixed="setarch $(uname -m) -R"

works() { # sanitizers, build
    echo 'int main() { return 0; }' >"$2.cpp"
    if ! "$compiler" -fsanitize="$1" "$2.cpp" -o "$2.probe" >"$2.log" 2>&1; then
        echo "$compiler cannot build with -fsanitize=$1 (see $2.log): left out"
        return 1
    fi
    for _ in 1 2 3 4 5; do
        $fixed "$2.probe" >"$2.log" 2>&1 && continue
        cat "$2.log"
        echo "programs with -fsanitize=$1 do not run on this machine: left out"
        [ "$1" != thread ] || [ -n "$fixed" ] ||
            echo "(sysctl vm.mmap_rnd_bits=28 helps, or a container that may call setarch -R)"
        return 1
    done
}

failed=
check() { # name, command...
    name=$1
    shift
    if "$@" >"$name.log" 2>&1; then
        tail -n 1 "$name.log"
    else
        cat "$name.log"
        failed="$failed $PWD/$name"
    fi
}

check_all() { # sanitizers ("" for none), build, inputs for each target, native tests ("" for all)
    echo "-- ${1:-no sanitizer}"
    generator=
    command -v ninja >/dev/null && generator="-G Ninja"
    cmake -S . -B "$2" $generator -DCMAKE_CXX_COMPILER="$compiler" -DWARPZONE_MODULE=OFF \
        -DWARPZONE_NATIVE_TESTS=ON -DWARPZONE_FUZZ=ON -DWARPZONE_SANITIZE="$1" >"$2.log" 2>&1 &&
        cmake --build "$2" >>"$2.log" 2>&1 || { cat "$2.log"; exit 1; }
    cd "$2"
    check warpzone_native_tests $fixed ./warpzone_native_tests $4
    for target in fuzz_*; do
        [ -x "$target" ] && [ ! -d "$target" ] || continue
        # A batch of games takes as long as twenty of the other inputs.
        n=$3
        [ "$target" != fuzz_actions ] || n=$((n / 20))
        echo "$target: $n inputs"
        check "$target" $fixed "./$target" -runs="$n" -seed="$seed"
    done
    cd "$root"
}

check_api() { # sanitizers, build, machines
    echo "-- $1, the API fuzzer: $3"
    [ -n "$python" ] || { echo "neither .venv nor .venv-check: left out"; return; }
    module=$root/$2-module
    generator=
    command -v ninja >/dev/null && generator="-G Ninja"
    cmake -S . -B "$module" $generator -DCMAKE_CXX_COMPILER="$compiler" -DWARPZONE_SANITIZE="$1" \
        -DPython_EXECUTABLE="$python" >"$module.log" 2>&1 &&
        cmake --build "$module" --target _native >>"$module.log" 2>&1 ||
        { cat "$module.log"; exit 1; }
    # The package as it is in src, but for its native module.
    mkdir -p "$module/package/warpzone"
    for file in src/warpzone/*; do
        case $file in
        *_native*.so | *__pycache__) ;;
        *) ln -sfn "$root/$file" "$module/package/warpzone/" ;;
        esac
    done
    rm -f "$module"/package/warpzone/_native*.so
    cp "$module"/_native*.so "$module/package/warpzone/"
    # Python itself is built without them: their runtime comes before everything else.
    runtime=libasan.so
    [ "$1" != thread ] || runtime=libtsan.so
    preload="$("$compiler" -print-file-name=$runtime) $("$compiler" -print-file-name=libstdc++.so)"
    [ "$1" != thread ] || check "$2-race" tells_a_race
    check "$2-api" sanitized scripts/fuzz_api.py --minutes "$minutes" --seed "$seed" --cases 0.3 \
        --only $3
}

sanitized() { # what Python is to run, on `module`
    $fixed env LD_PRELOAD="$preload" PYTHONPATH="$module/package" \
        ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
        UBSAN_OPTIONS=print_stacktrace=1 \
        TSAN_OPTIONS=die_after_fork=0:halt_on_error=1:exitcode=66 "$python" "$@"
}

# Silence could also mean that nothing is watched: here two threads write into the same array.
tells_a_race() {
    status=0
    sanitized - >"$module.race.log" 2>&1 <<'END' || status=$?
import threading
import numpy as np
from warpzone import _native

pictures, out = np.zeros((100, 4, 80, 80), np.uint8), np.zeros((100, 20, 20, 64), np.int8)


def cut():
    for _ in range(20):
        _native.cut_patches(pictures, 4, 4, out)


threads = [threading.Thread(target=cut) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
END
    if [ "$status" = 66 ] && grep -q "data race" "$module.race.log"; then
        echo "a race made on purpose is told"
    else
        cat "$module.race.log"
        echo "a race made on purpose is not told (status $status)"
        return 1
    fi
}

checked=
for sanitizers in ${WARPZONE_SANITIZE:-address,undefined thread}; do
    build=build/sanitize/$(echo "$sanitizers" | tr , -)
    works "$sanitizers" "$build" || continue
    if [ "$sanitizers" = thread ]; then
        # Only what has threads can have a race.
        check_all thread "$build" $((runs / 5)) "workers_test batch_test consoles_test play_test rules_test fuzz_test exclusive_test learn_test"
        [ "$minutes" = 0 ] || check_api thread "$build" "console envs compat agents"
    else
        check_all "$sanitizers" "$build" "$runs" ""
        [ "$minutes" = 0 ] || check_api "$sanitizers" "$build" "console envs compat agents"
    fi
    checked=1
done
[ -n "$checked" ] || check_all "" build/sanitize/none "$runs" ""
[ -z "$failed" ] || { echo "sanitize.sh: FAILED:$failed" >&2; exit 1; }
