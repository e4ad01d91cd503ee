#!/bin/busybox sh
# shellcheck shell=dash
# Boots the guest of one scenario and reports what happened: run_scenario.sh NAME VMM CONSOLE_OUT
#
# Runs under busybox, inside L1 and on a host alike. LAB names a folder with scenarios/, bzimage,
# bzimage_self, vmlinux, initrd, annulus and, for VMM=qemu, qemu-system-x86_64. A scenario that has
# network cards runs in a network namespace of its own, which ends with it, and needs LAB/network; one
# with a socket device needs LAB/vsock.
# The guest's console, and what the VMM says, go to CONSOLE_OUT as they come. The last line on
# standard output is: EXIT_CODE TOTAL_MS KERNEL_MS INIT_MS END_MS, counted from exec of the VMM to
# the kernel's first line, to the guest's /init, to its last line and to the end; - if never seen.

name=$1
vmm=$2
console_out=$3
work=$(mktemp -d /tmp/lab.XXXXXX)
clean() { rm -rf "$work"; }
trap clean EXIT

# shellcheck source=tests/lab/vmm_command.sh
. "$LAB/vmm_command.sh"
# shellcheck source=tests/lab/servers.sh
. "$LAB/servers.sh"
# shellcheck source=tests/lab/network.sh
. "$LAB/network.sh"
# shellcheck source=tests/lab/vsock.sh
. "$LAB/vsock.sh"
# shellcheck source=tests/lab/external.sh
. "$LAB/external.sh"
# Its output is what the guest's serial port receives; its end is the end of that file.
input() { [ -z "$cards$vsock" ] || answer_guest; }
# await REGEX: for input(): blocks until the guest has printed it.
await() {
  until grep -q -E "$1" "$work/console" 2>/dev/null; do sleep 0.1; done
}

# Hundredths of a second; the only clock that a shell in L1 can read without a process.
uptime_cs() {
  read -r up _ </proc/uptime
  echo $((${up%.*} * 100 + 1${up#*.} - 100))  # The 1: "08" would be a broken octal number.
}

# shellcheck source=/dev/null
. "$LAB/scenarios/$name.sh"

if [ -n "$cards" ] && [ -z "$LAB_NAMESPACE" ]; then
  clean
  export LAB_NAMESPACE=root
  if [ "$(id -u)" = 0 ]; then exec unshare -n sh "$0" "$@"; fi
  LAB_NAMESPACE=user
  exec unshare -r -n sh "$0" "$@"
fi
# Who gets what the console says.
set -- "$work/console" "$work/watched"
if [ -n "$cards$vsock" ]; then
  mkfifo "$work/requests"
  set -- "$@" "$work/requests"
  cat "$LAB/initrd" ${cards:+"$LAB/network/initrd"} ${streams:+"$LAB/network/streams"} \
    ${vsock:+"$LAB/vsock/initrd"} >"$work/initrd"
  initrd=$work/initrd
  trap 'stop_servers; clean' EXIT
  start_servers
fi

# Notes when lines of interest come by. One process, so that the console is not held up.
note_times() {
  awk -v start="$start" -v times="$work/times" '
    function since_start(  line, parts) {
      getline line <"/proc/uptime"
      close("/proc/uptime")
      split(line, parts, " ")
      return sprintf("%d", parts[1] * 1000 - start * 10 + 0.5)
    }
    /Linux version/ && !kernel { kernel = since_start() }
    /lab: init reached/ && !init { init = since_start() }
    /^lab: guest finished/ { end = since_start() }
    END { print kernel ? kernel : "-", init ? init : "-", end ? end : "-" >times }'
}

mkfifo "$work/in" "$work/watched"
: >"$work/console"
start=$(uptime_cs)
note_times <"$work/watched" &
times_pid=$!
# A subshell: else it would keep this script's standard output open, on which others wait.
(input) >"$work/in" &
input_pid=$!
{
  (
    read -r pid _ </proc/self/stat
    echo "$pid" >"$work/pid"
    "vmm_$vmm" <"$work/in" 2>&1
  )
  echo $? >"$work/exit"
  show_other_guests
} | tee "$@" >"$console_out"
total=$((($(uptime_cs) - start) * 10))
kill "$input_pid" 2>/dev/null
wait "$times_pid"
echo "$(cat "$work/exit") $total $(cat "$work/times")"
