#!/bin/sh
# Trains with tiles and with pixels on a GPU, where there is one, and prints steps per second and
# the share of each phase, after a check that copies which are not waited for change nothing.
#
#     sh scripts/try_gpu.sh [PYTHON]               # default: python3; at most four minutes
#
# Without a GPU nothing is run, and the status is 2.
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
limit=
if command -v timeout >/dev/null; then limit="timeout 240"; fi

status=0
$limit "$python" -m benchmarks.gpu --seconds 40 --out "${GPU_JSON:-gpu.json}" || status=$?
case $status in
    0) echo "done: figures in ${GPU_JSON:-gpu.json}" ;;
    2) echo "no figures: see above" >&2 ;;
    124) echo "no figures: four minutes were not enough" >&2 ;;
    *) echo "failed with status $status" >&2 ;;
esac
exit "$status"
