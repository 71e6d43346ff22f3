#!/bin/sh
# Writes the bill of materials of a whole installation (CycloneDX, JSON) into build/sbom: a wheel with
# every command (the extra `all`), at the versions that are locked.
#
#     sh scripts/sbom.sh WHEEL [EXTRAS]      # default: all
#
# What is compiled into the wheel itself is told in it, *.dist-info/sboms/warpzone.cdx.json, and taken
# out beside the other. The tools are those of .ci/tools.txt, in an environment of their own. The same
# wheel gives the same file again.
set -eu
wheel=$(realpath "${1:?sbom.sh: name a wheel}")
extras=${2-all}
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tools=build/tools
if [ ! -x "$tools/bin/cyclonedx-py" ]; then
    "$python" -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --no-deps --only-binary :all: --require-hashes \
        -r .ci/tools.txt
fi
"$python" -m venv --without-pip "$folder/venv"
# Without hashes, so that pip takes them as no more than versions.
sed -n 's/ *\\$//; /^[a-z].*==/p' .ci/requirements.txt .ci/torch.txt >"$folder/versions"
"$tools/bin/python" -m pip --python "$folder/venv/bin/python" install --quiet \
    -c "$folder/versions" "warpzone[$extras] @ file://$wheel"
version=$(basename "$wheel" | cut -d- -f2)
mkdir -p build/sbom
out=build/sbom/warpzone-$version.cdx.json
"$tools/bin/cyclonedx-py" environment --pyproject pyproject.toml --mc-type library \
    --output-reproducible --output-format JSON --output-file "$out" "$folder/venv/bin/python"
"$python" - "$wheel" "build/sbom/warpzone-$version-wheel.cdx.json" <<'PROGRAM'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    (name,) = (name for name in wheel.namelist() if name.endswith("/sboms/warpzone.cdx.json"))
    open(sys.argv[2], "wb").write(wheel.read(name))
PROGRAM
ls -l build/sbom
