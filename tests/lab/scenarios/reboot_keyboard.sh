# shellcheck shell=sh disable=SC2034
only_annulus=yes
description='reboot by the keyboard controller (i8042) ends the VMM with exit code 3'
base_cmdline="$base_cmdline reboot=kbd"
expect_exit=3
finishes=no
expect='
reboot: Restarting system
'

guest() { reboot -f; }
