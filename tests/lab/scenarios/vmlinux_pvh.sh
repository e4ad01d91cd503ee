# shellcheck shell=sh disable=SC2034
description='vmlinux by its PVH note: the kernel was entered that way and comes up whole'
kernel=vmlinux
expect='
Linux \(none\) 6\.
hwrng over mmio \(virtio[0-9]\): [0-9a-f]{32}
hwrng over pci \(virtio[0-9]\): [0-9a-f]{32}
'

guest() {
  uname -a
  # The kernel's own number for "entered by PVH"; a boot loader's stands here otherwise.
  check 'kernel.bootloader_type' "$(cat /proc/sys/kernel/bootloader_type)" 176
  read_each_hwrng
}
