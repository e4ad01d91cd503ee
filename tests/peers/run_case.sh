#!/bin/bash
# One case, in a process of its own: run_case.sh NAME. tools/peers calls it, with ROOT, LOGS, BACK_END,
# ANNULUS, DRIVER_CPU and DEVICE_CPU set. Ends with 0 if all is as it should be.

set -euo pipefail

name=$1
WORK=$(mktemp -d /tmp/annulus-peers.XXXXXX)
for part in processes testpmd back_ends dpdk; do
  # shellcheck source=/dev/null
  source "$ROOT/tests/peers/$part.sh"
done
trap 'end_processes; rm -rf "$WORK"' EXIT
trap 'exit 143' TERM
if declare -F "case_$name" >/dev/null; then "case_$name"; else dpdk_case "$name"; fi
