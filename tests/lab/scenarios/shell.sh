# shellcheck shell=sh disable=SC2034
description='a shell on the serial console, for tools/quickstart --shell'
interactive=yes
cpus=${LAB_CPUS:-2}
base_cmdline="$base_cmdline quiet"

guest() {
  echo
  echo "A shell in the guest. Ctrl-A X leaves; so does exit."
  setsid -c sh </dev/ttyS0 >/dev/ttyS0 2>&1
}
