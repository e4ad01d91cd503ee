# shellcheck shell=sh disable=SC2034
description='a card of four queue pairs that another process serves, two vCPUs: each serves its own; one pair and four again'
cards=vhost-user=$work/net.device,packed=on
external="net net --socket $work/net.device --backend tap=tap0,mac=52:54:00:12:34:56,queues=4"
cpus=2
only_annulus=yes
slow=yes
time_limit=300

guest() {
  device=$(card_device)
  check "$device VIRTIO_NET_F_MQ" "$(feature_of "$device" 22)" 1
  configure_card
  # As many as there are CPUs.
  ethtool -L eth0 combined 4
  check 'queue pairs' "$(queue_pairs)" '4 4 '
  before=$(interrupts_of_vector "$device-input.1")
  taskset -c 1 ping -q -A -c 50 10.0.0.1 >/dev/null
  interrupts=$(($(interrupts_of_vector "$device-input.1") - before))
  [ $interrupts -ge 25 ] || fail "receive queue 1 interrupted $interrupts times in 50 pings"
  check_tcp 'TCP sent, 4 streams' 2 -P 4
  check_tcp 'TCP received, 4 streams' 2 -R -P 4
  ethtool -L eth0 combined 1
  check 'queue pairs, one used' "$(queue_pairs)" '4 1 '
  check_tcp 'TCP received, one pair' 1 -R
  ethtool -L eth0 combined 4
  check_tcp 'TCP received, four pairs again' 1 -R -P 4
  check_file_through_kills 16 net 1
  check 'queue pairs, after the back-end was killed' "$(queue_pairs)" '4 4 '
  check_file 1
}
