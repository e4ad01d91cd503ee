# shellcheck shell=sh disable=SC2034
description='a network card over virtio-pci with split rings: ping, TCP, UDP, a file both ways'
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=off

guest() {
  check_card pci 0
  check_network
}
