# shellcheck shell=sh disable=SC2034
description='a network card with two queue pairs, two vCPUs: each serves its own; one pair and two again'
cards=tap=tap0,mac=52:54:00:12:34:56,queues=2,pci,packed=on
cpus=2
time_limit=300

guest() {
  check_card pci 1
  device=$(card_device)
  check "$device VIRTIO_NET_F_MQ" "$(feature_of "$device" 22)" 1
  configure_card
  # What CPU 1 sends goes out at the second transmit queue, and its answers come back beside it.
  check 'queue pairs' "$(queue_pairs)" '2 2 '
  before=$(interrupts_of_vector "$device-input.1")
  taskset -c 1 ping -q -A -c 50 10.0.0.1 >/dev/null
  interrupts=$(($(interrupts_of_vector "$device-input.1") - before))
  [ $interrupts -ge 25 ] || fail "receive queue 1 interrupted $interrupts times in 50 pings"
  check_tcp 'TCP sent, 4 streams' 2 -P 4
  check_tcp 'TCP received, 4 streams' 2 -R -P 4
  ethtool -L eth0 combined 1
  check 'queue pairs, one used' "$(queue_pairs)" '2 1 '
  check_tcp 'TCP sent, one pair' 1
  check_tcp 'TCP received, one pair' 1 -R
  ethtool -L eth0 combined 2
  check_tcp 'TCP received, two pairs again' 1 -R -P 2
  check_file 1
}
