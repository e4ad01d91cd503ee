# shellcheck shell=sh disable=SC2034
description='sockets over virtio-pci, packed rings: stream and seqpacket both ways, half-close, many connections'
vsock=cid=3,socket=$work/vsock,pci,packed=on
time_limit=300

l1_start() { serve_vsock; }

guest() {
  check_vsock_device pci 1
  check_vsock
}
