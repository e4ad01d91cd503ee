# shellcheck shell=sh disable=SC2034
description='5 GiB of RAM: what does not fit below 4 GiB lies above, and devices reach it'
memory=5120M

guest() {
  echo "MemTotal $(memory_total_kib) KiB"
  [ "$(memory_total_kib)" -gt 4900000 ] || fail "memory above the hole is missing"
  grep 'System RAM' /proc/iomem
  awk '/System RAM/ { split($1, range, "-"); if (length(range[1]) > 8 || range[1] >= "100000000") high = 1 }
    END { exit !high }' /proc/iomem || fail "no RAM above 4 GiB"
  read_each_hwrng
}
