#!/bin/sh
# Builds the image of the Dockerfile and tries it; without Docker, as much of that as goes without.
#
#     sh scripts/try_docker.sh [EXTRAS]        # default: none, the environments alone
#
# With docker (or what DOCKER names, such as podman) and a daemon that answers, it builds the image
# `warpzone-try`, runs it and removes it again. Elsewhere it copies what .dockerignore lets through,
# makes the virtual environment by the Dockerfile's own RUN line, as PYTHON (python3) has it, and runs
# the entry point as user 1000 (by setpriv; who is not root stays who they are), who must be able to
# read that Python. WARPZONE_WHEEL names a wheel to install there instead of the context. What it cannot
# see then: the base image, and what apt installs there. Both print sizes.
set -eu
cd "$(dirname "$0")/.."
extras=${1-}
docker=${DOCKER:-docker}

# What the entry point must do, whatever runs it: the words before it are "$@".
try() {
    "$@" --help | grep -q "warpzone" &&
        "$@" --version &&
        "$@" levels | grep -q "1-1" &&
        if [ -z "$extras" ]; then
            # A command that needs an extra names it.
            if told=$("$@" train 1-1 2>&1); then return 1; fi
            echo "$told" | tr -d '\n' | grep -qF "pip install 'warpzone[train]'"
        fi
}

if "$docker" info >/dev/null 2>&1; then
    "$docker" build --tag warpzone-try --build-arg EXTRAS="$extras" \
        --build-arg PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL-}" .
    inside() { entry=$1; shift; "$docker" run --rm --entrypoint "$entry" warpzone-try "$@"; }
    try "$docker" run --rm warpzone-try
    [ "$(inside id -u)" = 1000 ]
    [ -z "$(inside find / -name '*.nes' -not -path '/proc/*')" ]
    inside sh -c 'touch "$HOME/mine" && ! touch /opt/warpzone/mine 2>/dev/null'
    "$docker" image inspect --format 'the image: {{.Size}} bytes' warpzone-try
    "$docker" image rm warpzone-try >/dev/null
    echo "== good: built and run by $docker"
    exit
fi

echo "== no $docker that answers: without an image"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder" # mktemp shuts out user 1000
"${PYTHON:-python3}" - "$folder" <<'PROGRAM'
"""Copies the build context, and writes the RUN line that installs for another place than /opt."""

import fnmatch
import os
import re
import shutil
import sys
from pathlib import Path

target = Path(sys.argv[1])
lines = [line for line in Path(".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")]
allowed = [line[1:] for line in lines if line.startswith("!")]
never = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
if lines != ["*", *(f"!{name}" for name in allowed), *(f"**/{name}" for name in never)]:
    sys.exit("try_docker.sh: .dockerignore has lines that this script does not know")
count = size = 0
for name in allowed:
    for path in sorted([Path(name), *Path(name).rglob("*")]):
        if path.is_file() and not any(fnmatch.fnmatch(p, n) for p in path.parts for n in never):
            copy = target / "source" / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
            count, size = count + 1, size + path.stat().st_size
roms = [path for path in (target / "source").rglob("*") if path.suffix.lower() in (".nes", ".zip")]
if roms:
    sys.exit(f"try_docker.sh: a ROM in the context: {roms}")
print(f"the build context: {count} files, {size / 1e6:.1f} MB")
commands = Path("Dockerfile").read_text().replace("\\\n", " ")
(run,) = re.findall(r"^RUN (python3 -m venv /opt/warpzone .*)$", commands, re.M)
run = run.replace("/opt/warpzone", f"{target}/warpzone")
if wheel := os.environ.get("WARPZONE_WHEEL"):
    source = '".${EXTRAS:+[${EXTRAS}]}"'
    assert source in run, run
    built = f"warpzone${{EXTRAS:+[${{EXTRAS}}]}} @ file://{Path(wheel).resolve()}"
    run = run.replace(source, f'"{built}"')
(target / "run").write_text(run)
PROGRAM
mkdir "$folder/bin" "$folder/home"
ln -s "$(command -v "${PYTHON:-python3}")" "$folder/bin/python3"
(cd "$folder/source" && EXTRAS=$extras PATH=$folder/bin:$PATH sh -eu "$folder/run" >"$folder/log") ||
    { cat "$folder/log"; exit 1; }

as=
if [ "$(id -u)" = 0 ]; then
    chown 1000:1000 "$folder/home"
    as="setpriv --reuid=1000 --regid=1000 --clear-groups"
fi
# shellcheck disable=SC2086 # words
user() { (cd "$folder/home" && env -i HOME="$folder/home" PATH="$folder/warpzone/bin:/usr/bin:/bin" $as "$@"); }
entry=$(sed -n 's/^ENTRYPOINT \["\(.*\)"\]$/\1/p' Dockerfile)
try user "$entry"
user touch "$folder/home/mine"
if [ -n "$as" ] && user touch "$folder/warpzone/mine" 2>/dev/null; then
    echo "try_docker.sh: user 1000 can write to what is installed" >&2
    exit 1
fi
[ -z "$(find "$folder/warpzone" -name '*.nes')" ]
echo "what the image adds to its base: $(du -s --apparent-size --block-size=1000000 "$folder/warpzone" | cut -f1) MB"
echo "== good: the context, the installation and the entry point, as user $(user id -u)"
