# shellcheck shell=sh disable=SC2034
description='a network card over virtio-mmio with packed rings: ping, TCP, UDP, a file both ways'
cards=tap=tap0,mac=52:54:00:12:34:56,mmio,packed=on

guest() {
  check_card mmio 1
  check_network
}
