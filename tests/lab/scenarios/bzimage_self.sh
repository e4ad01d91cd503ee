# shellcheck shell=sh disable=SC2034
description='a bzImage that the VMM cannot unpack does so by itself, from its 64-bit entry on'
kernel=bzimage_self
expect='
Linux \(none\) 6\.
hwrng over pci \(virtio[0-9]\): [0-9a-f]{32}
'

guest() {
  uname -a
  read_each_hwrng
}
