# shellcheck shell=sh disable=SC2034
description='sockets over virtio-pci, split rings: stream and seqpacket both ways, half-close, many connections'
vsock=cid=3,socket=$work/vsock,pci,packed=off
time_limit=300

l1_start() { serve_vsock; }

guest() {
  check_vsock_device pci 0
  check_vsock
}
