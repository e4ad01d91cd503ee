# shellcheck shell=sh disable=SC2034
description='QEMU: two pairs of queues in use and given up again'
cpus=2
cards=tap=tap0,queues=2
back_ends='net net --backend tap=tap0,queues=2'
qemu_devices=$(net_device net 2 packed=off,mq=on)
time_limit=300

guest() {
  # shellcheck source=tests/peers/guest.sh
  . /peers.sh
  check_vhost_card 0
  check "$device MQ" "$(feature_of "$device" 22)" 1
  configure_card
  ethtool -L eth0 combined 2
  check 'pairs' "$(ethtool -l eth0 | awk '/Current/ { now = 1 } now && /^Combined/ { print $2 }')" 2
  check_tcp 'TCP sent over two pairs' 16 -P 4
  check_tcp 'TCP received over two pairs' 16 -P 4 -R
  check_file 2
  ethtool -L eth0 combined 1
  check_ping 10.0.0.1 50
  check_file 2
  ethtool -L eth0 combined 2
  check_file 2
}
