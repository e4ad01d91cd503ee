# shellcheck shell=sh disable=SC2034
description='bzImage, 1 vCPU: the kernel says its version, and both entropy devices give bytes'
expect='
Linux \(none\) 6\.
hwrng over mmio \(virtio[0-9]\): [0-9a-f]{32}
hwrng over pci \(virtio[0-9]\): [0-9a-f]{32}
'
base_cmdline="$base_cmdline loglevel=7"  # The whole log.

guest() {
  uname -a
  check cpus "$(cpu_count)" 1
  read_each_hwrng
}
