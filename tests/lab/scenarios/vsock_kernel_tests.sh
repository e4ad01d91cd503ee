# shellcheck shell=sh disable=SC2034
description="the kernel's own vsock_test and vsock_diag_test between two guests, both directions, complete"
# Each has a network card of its own: both ends agree on steps over TCP, by way of L1.
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=on
vsock=cid=3,switch=$work/switch,pci,packed=on
# QEMU's device knows no other guests.
only_annulus=yes
time_limit=400

l1_start() {
  mkdir "$work/switch"
  ip tuntap add tap1 mode tap vnet_hdr
  ip link set tap1 up
  ip address add 10.0.1.1/24 dev tap1
  echo 1 >/proc/sys/net/ipv4/ip_forward
  start_guest other
}
# The other one has the other kind of ring, and another transport.
options_other() {
  cards=tap=tap1,mac=52:54:00:12:34:57,pci,packed=on
  vsock=cid=4,switch=$work/switch,mmio,packed=off
}

guest() {
  configure_card
  ip route add default via 10.0.0.1
  kernel_test vsock_test client 10.0.1.2 7001 4
  kernel_test vsock_test server 10.0.0.2 7002 4
  kernel_test vsock_diag_test client 10.0.1.2 7003 4
  kernel_test vsock_diag_test server 10.0.0.2 7004 4
}
guest_other() {
  ip link set lo up
  ip link set eth0 up
  ip address add 10.0.1.2/24 dev eth0
  ip route add default via 10.0.1.1
  kernel_test vsock_test server 10.0.1.2 7001 3
  kernel_test vsock_test client 10.0.0.2 7002 3
  kernel_test vsock_diag_test server 10.0.1.2 7003 3
  kernel_test vsock_diag_test client 10.0.0.2 7004 3
}
