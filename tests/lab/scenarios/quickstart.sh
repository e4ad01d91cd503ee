# shellcheck shell=sh disable=SC2034
description='what tools/quickstart shows'
cpus=${LAB_CPUS:-2}
base_cmdline="$base_cmdline loglevel=7"  # The whole log.

guest() {
  echo
  echo "kernel:  $(uname -sr)"
  echo "CPUs:    $(cpu_count)"
  echo "memory:  $(($(memory_total_kib) / 1024)) MiB"
  read_each_hwrng
  echo
}
