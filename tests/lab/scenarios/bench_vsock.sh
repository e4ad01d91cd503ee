# shellcheck shell=sh disable=SC2034
description='what tools/bench vsock measures in guests: throughput both ways and round trips'
bench=yes
vsock=cid=3,socket=$work/vsock,pci,packed=on
time_limit=300
# Of each measurement, and how often they take turns.
bytes=48M
rounds=3

l1_start() { serve 5000; }

# measure NAME KEY COMMAND...: a metric from what vsock_peer says.
measure() {
  measured_name=$1 key=$2 command=$3
  shift 3
  said=$(/vsock/vsock_peer "$command" vsock:2:5000 "$@" | tail -n 1)
  passes "$said"
  echo "lab: metric $measured_name $(echo "$said" | sed -n "s/.* $key=\([0-9.]*\) .*/\1/p")"
}

guest() {
  check_vsock_device pci 1
  # The first one warms up.
  check_peer receive 5000 --bytes 8M --unchecked
  for _ in $(seq $rounds); do
    measure g2h_mb_per_s mb_per_s send --bytes $bytes --unchecked
    measure h2g_mb_per_s mb_per_s receive --bytes $bytes --unchecked
    measure g2h_4k_mb_per_s mb_per_s send --bytes 8M --chunk 4k --unchecked
    measure h2g_4k_mb_per_s mb_per_s receive --bytes 8M --chunk 4k --unchecked
    measure rtt_us median_us ping --bytes 1 --count 300
    measure connections_per_s per_s churn --count 100
  done
}
