# shellcheck shell=sh disable=SC2034
description='an end of a socket that does not read for a minute, while another connection is used'
vsock=cid=3,socket=$work/vsock,pci,packed=on
slow=yes
time_limit=600

l1_start() { serve_vsock; }

guest() {
  check_vsock_device pci 1
  serve_guest
  check_both stall --bytes 8M --delay 60
  check_both stall --bytes 8M --delay 60 --reverse
}
