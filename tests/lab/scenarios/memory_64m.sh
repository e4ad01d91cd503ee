# shellcheck shell=sh disable=SC2034
only_annulus=yes
description='64 MiB of RAM are enough for a stock kernel'
memory=64M
# This bzImage needs RAM up to 68 MiB to unpack itself: Annulus does it on the host.
# Its image takes 46 MiB of the 64. Tracing would take 9 more, for files that describe its events;
# a locked-down kernel has none.
base_cmdline="$base_cmdline lockdown=confidentiality"

guest() {
  echo "MemTotal $(memory_total_kib) KiB"
  [ "$(memory_total_kib)" -lt 65536 ] || fail "more memory than was given"
  read_each_hwrng
}
