# shellcheck shell=sh disable=SC2034
description='ten thousand pings while iperf3 runs both ways: none is lost'
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=on
slow=yes
time_limit=900

l1_start() {
  start iperf3 -s
  start iperf3 -s -p 5202
}

guest() {
  check_card pci 1
  configure_card
  # Longer than the pings take.
  iperf3 -c 10.0.0.1 -t 10000 >/dev/null 2>&1 &
  sender=$!
  iperf3 -c 10.0.0.1 -p 5202 -R -t 10000 >/dev/null 2>&1 &
  receiver=$!
  check_ping 10.0.0.1 10000 -W 10
  kill -KILL $sender $receiver || fail 'iperf3 ended before the pings'
  for direction in tx rx; do
    mib=$(($(statistic ${direction}_bytes) >> 20))
    echo "lab: $mib MiB ($direction) meanwhile"
    [ $mib -ge 16 ] || fail "only $mib MiB ($direction) meanwhile"
  done
}
