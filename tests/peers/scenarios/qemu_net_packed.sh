# shellcheck shell=sh disable=SC2034
description='QEMU: a network card with packed rings over a tap: ping, TCP, UDP, a file both ways'
cards=tap=tap0
back_ends='net net --backend tap=tap0'
qemu_devices=$(net_device net 1 packed=on)
time_limit=300

guest() {
  # shellcheck source=tests/peers/guest.sh
  . /peers.sh
  check_vhost_card 1
  check_network
}
