# shellcheck shell=sh disable=SC2034
description='QEMU: sockets: streams both ways, half-close, many connections'
vsock=cid=3
back_ends="vsock vsock --backend cid=3,socket=$work/vsock"
qemu_devices='-device vhost-user-vsock-pci-non-transitional,chardev=vsock,vectors=0'
time_limit=300

l1_start() { serve_vsock; }

guest() {
  check_vsock_device pci 0
  check_vsock
}
