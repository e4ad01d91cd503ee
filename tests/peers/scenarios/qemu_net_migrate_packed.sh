# shellcheck shell=sh disable=SC2034
description='QEMU: packed rings; a guest goes to another QEMU and back in the middle of streams, which go on'
cards='tap=tap0 tap=tap1'
back_ends='net net --backend tap=tap0
net.there net --backend tap=tap1'
qemu_devices=$(net_device net 1 packed=on)
moves=yes
time_limit=300

l1_start() { bridge_taps; }

guest() {
  # shellcheck source=tests/peers/guest.sh
  . /peers.sh
  check_vhost_card 1
  configure_card
  check_stream_received_while_moving
  check_stream_sent_while_moving
  check_ping 10.0.0.1 20
  check_file 2
}
