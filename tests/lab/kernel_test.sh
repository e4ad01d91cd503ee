#!/bin/busybox sh
# shellcheck shell=dash
# One end of one of the kernel's own tests of sockets, in a guest or in L1:
# kernel_test.sh PROGRAM MODE HOST PORT CID [OPTION...]
#
# PROGRAM is the file; MODE is client or server; HOST and PORT are for TCP, by which both ends agree
# on each step, and CID is the other end. SHIM, if set, is preloaded. The client waits for the server.
# The last line is "exit CODE".

program=$1 mode=$2 host=$3 port=$4 cid=$5
shift 5
# In memory: where this runs there is no other place.
said=$(mktemp /tmp/kernel_test.XXXXXX)
tries=200
while :; do
  LD_PRELOAD=$SHIM "$program" --mode "$mode" --control-host "$host" --control-port "$port" \
    --peer-cid "$cid" "$@" >"$said" 2>&1
  code=$?
  grep -q 'Control socket initialization failed' "$said" || break
  [ $((tries -= 1)) -gt 0 ] || break
  sleep 0.2
done
cat "$said"
rm "$said"
echo "exit $code"
