# shellcheck shell=sh disable=SC2034
description='10 000 connections one after the other, from either side; nothing is left of them'
vsock=cid=3,socket=$work/vsock,pci,packed=on
slow=yes
time_limit=1200

l1_start() { serve_vsock; }

guest() {
  check_vsock_device pci 1
  serve_guest
  descriptors=$(l1 vmm_descriptors)
  check_both churn --count 10000
  check_failures
  await_value 'open files of the VMM' "$descriptors" l1 vmm_descriptors
}
