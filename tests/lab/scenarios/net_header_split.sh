# shellcheck shell=sh disable=SC2034
description='header-split receive over virtio-pci: a driver in user space, methods A, B, C and Q, packed and split rings'
cards=tap=tap0,mac=52:54:00:12:34:56,mtu=9000,pci,packed=on,header-split=on
streams=yes
# QEMU has no such thing.
only_annulus=yes
time_limit=300

# The cable carries what is sent on purpose alone. Method C loses step at a frame that is not split:
# it takes a small buffer and leaves the page behind it.
l1_start() { echo 1 >/proc/sys/net/ipv6/conf/tap0/disable_ipv6; }

guest() {
  check_card pci 1
  address=$(basename "$(readlink -f "/sys/bus/virtio/devices/$(card_device)/..")")
  check_stream Q '' --frames 1000 --mixed
  check_stream B '' --frames 400 --mixed --gso
  check_stream A --no-packed --frames 1000 --mixed
  check_stream C --no-packed --frames 1000

  check_stream Q '--no-packed --no-mergeable --in-order' --frames 200 --stream udp4
  check_stream Q --indirect --frames 200 --stream tcp6 --bytes 8192
  check_stream A '--indirect --in-order' --frames 100 --gso --mixed
  check_stream C --indirect --frames 200 --bytes 8000 --no-timestamps
  # As said above; but nothing is lost, and it finds its step again.
  check_stream C '--min-split 20' --frames 200 --mixed
  check_stream B --in-order --frames 200 --stream udp6
  # Nothing of that is left when the driver does not ask for it.
  check_stream none '' --frames 200 --gso --mixed
  check_stream none '--no-packed --no-mergeable' --frames 200 --stream udp4
  echo "$address" >/sys/bus/pci/drivers/virtio-pci/bind
  configure_card
  check_ping 10.0.0.1 20
}
