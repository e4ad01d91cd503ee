# shellcheck shell=sh disable=SC2034
description='ACPI poweroff (S5) ends the VMM with exit code 0'
expect='
reboot: Power down
'

guest() { poweroff -f; }
finishes=no
