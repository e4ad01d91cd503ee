# shellcheck shell=sh disable=SC2034
only_annulus=yes
description='a triple fault ends the VMM with exit code 4'
base_cmdline="$base_cmdline reboot=triple"
expect_exit=4
finishes=no
expect='
reboot: Restarting system
'

guest() { reboot -f; }
