# shellcheck shell=sh disable=SC2034
description='what tools/bench boot measures: nothing but the way to /init'
bench=yes
base_cmdline="$base_cmdline quiet"

guest() { :; }
