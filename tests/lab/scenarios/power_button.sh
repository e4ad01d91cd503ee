# shellcheck shell=sh disable=SC2034,SC2154
description='annulus ctl stop --graceful: a guest that listens to its ACPI power button powers off'
only_annulus=yes
vmm_options="--control $work/control"
expect='
lab: button pressed
reboot: Power down
'

guest() {
  insmod /modules/evdev.ko
  insmod /modules/button.ko
  # What the kernel made of the table.
  check 'input device' "$(sed -n 's/^N: Name="\(.*\)"$/\1/p' /proc/bus/input/devices)" 'Power Button'
  mkdir -p /etc/acpi/PWRF
  cat >/etc/acpi/PWRF/00000080 <<'ACTION'
#!/bin/sh
echo "lab: button pressed" >/dev/console
poweroff -f
ACTION
  chmod +x /etc/acpi/PWRF/00000080
  acpid -f -d &
  until for file in "/proc/$!/fd"/*; do readlink "$file"; done | grep -q /dev/input/event; do
    sleep 0.1
  done
  echo "lab: waiting for the button"
  wait
}
finishes=no

input() {
  await 'lab: waiting for the button'
  "$LAB/annulus" ctl "$work/control" stop --graceful 60 >&2
}
