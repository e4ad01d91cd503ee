# shellcheck shell=bash
# DPDK's testpmd as a driver (virtio-user) or as a back-end (net_vhost). Needs processes.sh.
#
# DRIVER_CPU and DEVICE_CPU name a CPU each. Memory is that of a memfd, without huge pages, unless
# TESTPMD_MEMORY says otherwise: so a machine needs nothing prepared.

TESTPMD_MEMORY=${TESTPMD_MEMORY:---no-huge --no-shconf -m 256}

# testpmd_command CPU VDEVS -- OPTION...: sets TESTPMD, which forwards on that CPU and takes commands.
# VDEVS: devices in the order of their ports. Words of TESTPMD_EAL go to DPDK itself.
testpmd_command() {
  local cpu=$1
  shift
  # shellcheck disable=SC2206  # Words.
  TESTPMD=(stdbuf -oL dpdk-testpmd --lcores "0@($DRIVER_CPU,$DEVICE_CPU),1@$cpu" --main-lcore 0 $TESTPMD_MEMORY
    --no-pci --no-telemetry ${TESTPMD_EAL:-})
  while [[ $1 != -- ]]; do
    TESTPMD+=(--vdev "$1")
    shift
  done
  # What is there already when it starts is traffic like all other.
  TESTPMD+=(-- -i --nb-cores=1 --no-flush-rx "${@:2}")
}

# open_testpmd NAME CPU VDEVS -- OPTION...: until it takes commands.
open_testpmd() {
  local name=$1 from
  shift
  testpmd_command "$@"
  from=$(log_size "$name")
  spawn_commanded "$name" "${TESTPMD[@]}"
  await_log "$name" '^testpmd> ' "$from"
}

# ask NAME END COMMAND...: what testpmd answers, up to the line that matches END.
ask() {
  local name=$1 end=$2 from
  shift 2
  from=$(log_size "$name")
  say "$name" "$@"
  await_log "$name" "$end" "$from"
  tail -c +$((from + 1)) "$LOGS/$name.log" | tr -d '\r'
}

# port_counter NAME PORT COUNTER: RX-packets, RX-errors, TX-packets, ...
port_counter() {
  local answer
  answer=$(ask "$1" '^  #{76}$' "show port stats $2")
  sed -n "s/.*$3: *\([0-9]*\).*/\1/p" <<<"$answer" | head -n 1
}

# await_counter NAME PORT COUNTER LEAST: until it has grown to that.
counter_reached() { (($(port_counter "$1" "$2" "$3") >= $4)); }
await_counter() { await "${5:-60}" "$4 $3 of port $2 of $1" counter_reached "$@"; }

# quit_testpmd NAME
quit_testpmd() {
  say "$1" stop
  say "$1" quit
  await_end "$1" 20
}
