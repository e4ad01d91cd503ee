# shellcheck shell=sh disable=SC2034
description='reboot by the ACPI reset register ends the VMM with exit code 3'
base_cmdline="$base_cmdline reboot=acpi"
expect_exit=3
finishes=no
expect='
reboot: Restarting system
'

guest() { reboot -f; }
