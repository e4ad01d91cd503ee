#!/bin/busybox sh
# shellcheck shell=dash
# What udhcpc runs when it has got an address.

[ "$1" != bound ] || /net/ip address add "$ip/$mask" dev "$interface"
