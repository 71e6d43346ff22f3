#!/bin/sh
# Looks up everything that is locked in .ci/ among known vulnerabilities, with pip-audit.
#
#     sh scripts/audit.sh [OPTION OF pip-audit ...]
#
# e.g. `-s osv` for another service than the package index. Needs that service: pip-audit has no form
# that works without a network. It runs from an environment of its own, build/tools, made from
# .ci/tools.txt. The status is 0 only if the service knew every package and no fault of any.
set -eu
cd "$(dirname "$0")/.."
tools=build/tools
if [ ! -x "$tools/bin/pip-audit" ]; then
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes -r .ci/tools.txt
fi
found=0
for lock in requirements torch build tools; do
    echo "== .ci/$lock.txt"
    status=0
    "$tools/bin/pip-audit" --strict --disable-pip --require-hashes --progress-spinner off \
        -r ".ci/$lock.txt" "$@" || status=$?
    [ "$status" -le "$found" ] || found=$status
done
exit "$found"
