# shellcheck shell=sh disable=SC2034
description='QEMU: packed rings; the back-end is killed three times in the middle of a file, and a file goes on'
cards=tap=tap0
back_ends="net net --backend tap=tap0 --state-file $work/net.state"
qemu_devices=$(net_device net 1 packed=on)
slow=yes
time_limit=400

guest() {
  # shellcheck source=tests/peers/guest.sh
  . /peers.sh
  check_vhost_card 1
  configure_card
  check_file_received_through_kills 24 net
  check_file_sent_through_kills 24 net
  check_ping 10.0.0.1 20
  check_file 2
}
