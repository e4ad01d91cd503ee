#!/bin/busybox sh
# shellcheck shell=dash
# Gives the terminal to the guest of one scenario: run_interactive.sh NAME. LAB as for
# run_scenario.sh. The VMM itself makes the terminal raw and takes Ctrl-A X.

name=$1
# shellcheck source=tests/lab/vmm_command.sh
. "$LAB/vmm_command.sh"
# shellcheck source=/dev/null
. "$LAB/scenarios/$name.sh"
time_limit=86400
vmm_annulus
