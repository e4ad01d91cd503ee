# shellcheck shell=sh disable=SC2034
description='a kernel panic with panic=-1 resets the machine: exit code 3, the panic on the console'
expect_exit=3
finishes=no
reject='lab: FAIL'
expect='
Kernel panic - not syncing: sysrq triggered crash
'

guest() {
  echo 1 >/proc/sys/kernel/sysrq
  echo c >/proc/sysrq-trigger
}
