# shellcheck shell=bash
# The back-ends that drivers of others are connected to: ours, or DPDK's own net_vhost, which tells a
# fault of ours from one of the case. Needs processes.sh and testpmd.sh. BACK_END is annulus or dpdk.

# What net_vhost's testpmd does in place of what ours does.
declare -A VHOST_MODE=([null]=rxonly [null,generate=64]=txonly [loopback]=macswap)

# open_back_end NAME SOCKET DOES [PAIRS [OPTION]]: DOES is null, null,generate=64 or loopback. OPTION
# connect: the driver listens.
open_back_end() {
  local name=$1 socket=$2 does=$3 pairs=${4:-1} role=${5:-listen} flag=--socket client=0 from
  from=$(log_size "$name")
  if [[ $BACK_END == annulus ]]; then
    [[ $role == listen ]] || flag=--connect
    # shellcheck disable=SC2086  # Words.
    spawn "$name" "$ANNULUS" device net "$flag" "$socket" --backend "$does,queues=$pairs,queue_size=1024" \
      ${BACK_END_FLAGS:-}
  else
    [[ $role == listen ]] || client=1
    testpmd_command "$DEVICE_CPU" "net_vhost0,iface=$socket,queues=$pairs,client=$client" -- \
      --auto-start --total-num-mbufs=16384 --forward-mode="${VHOST_MODE[$does]}" --rxq="$pairs" \
      --txq="$pairs"
    spawn_commanded "$name" "${TESTPMD[@]}"
    await_log "$name" '^testpmd> ' "$from"
  fi
  [[ $role != listen ]] || await 20 "the socket $socket" test -S "$socket"
}

# close_back_end NAME: which must still be well.
close_back_end() {
  if [[ $BACK_END == annulus ]]; then stop "$1"; else quit_testpmd "$1"; fi
}
