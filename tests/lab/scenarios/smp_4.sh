# shellcheck shell=sh disable=SC2034
description='4 vCPUs: all are online, each runs a process, in one package'
cpus=4

guest() {
  check processors "$(cpu_count)" 4
  check online "$(cat /sys/devices/system/cpu/online)" 0-3
  for cpu in 0 1 2 3; do
    # Field 39 of stat: the processor that the process last ran on.
    # shellcheck disable=SC2016  # awk's own $39.
    ran_on=$(taskset -c "$cpu" awk '{ print $39 }' /proc/self/stat)
    check "process on CPU $cpu" "$ran_on" "$cpu"
  done
  check packages "$(sort -u /sys/devices/system/cpu/cpu*/topology/physical_package_id | wc -l)" 1
  check cores "$(cat /sys/devices/system/cpu/cpu*/topology/core_id | sort -u | wc -l)" 4
  read_each_hwrng
}
