# shellcheck shell=sh disable=SC2034
description='a gibibyte each way through a socket, byte by byte'
vsock=cid=3,socket=$work/vsock,pci,packed=on
slow=yes
time_limit=900

l1_start() { serve_vsock; }

guest() {
  check_vsock_device pci 1
  serve_guest
  check_peer send "$host_stream" --bytes 1G
  check_peer receive "$host_stream" --bytes 1G
}
