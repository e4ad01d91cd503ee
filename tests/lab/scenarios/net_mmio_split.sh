# shellcheck shell=sh disable=SC2034
description='a network card over virtio-mmio with split rings: ping, TCP, UDP, a file both ways'
cards=tap=tap0,mac=52:54:00:12:34:56,mmio,packed=off

guest() {
  check_card mmio 0
  check_network
}
