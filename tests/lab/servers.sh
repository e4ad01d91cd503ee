# shellcheck shell=dash
# The L1 half of scenarios whose guests talk to somebody, read by run_scenario.sh: what runs beside
# the VMM, and answers the guest.
#
# A guest has L1 do something by a line on its console, "lab: l1 NAME ARGUMENT...", which runs
# l1_NAME of the scenario or of the files beside this one. Its answer is a line for the guest's
# console: "ok", or "failed", and what the function printed last. So both halves go step by step,
# without clocks.

# start COMMAND...: in the background, until the scenario is over; sets started. The guest does not
# wait for it: so it must not hold on to the answer.
start() {
  "$@" <"$work/never" >>"$work/servers" 2>&1 &
  started=$!
  echo "$started" >>"$work/started"
}

start_servers() {
  # A file that never ends, for those that leave when their input does.
  mkfifo "$work/never"
  exec 9<>"$work/never"
  : >"$work/started"
  [ -z "$cards" ] || start_network
  start_externals
  l1_start
}
# Unless the scenario has its own.
l1_start() { [ -z "$cards" ] || start "$LAB/network/iperf3" -s; }

# What the servers said last goes to L1's console.
stop_servers() {
  stop_externals
  while read -r pid; do kill "$pid" 2>/dev/null; done <"$work/started"
  [ ! -e "$work/servers" ] || tail -n 20 "$work/servers" >&2
}

# What the guest's serial port receives.
answer_guest() {
  awk '/lab: l1 / { sub(/\r$/, ""); sub(/.*lab: l1 /, ""); print; fflush() }' <"$work/requests" |
    while read -r request; do
      # shellcheck disable=SC2086  # Name and arguments.
      if answer=$(l1_$request 2>"$work/error"); then
        echo "ok $answer"
      else
        echo "failed $(tail -n 1 "$work/error")"
      fi
    done
}

l1_vmm() { echo "$vmm"; }

# start_guest NAME: boots another guest in the background, in which guest_NAME of the scenario runs.
# options_NAME, here, changes what its VMM is told. It has L1 do nothing. Its console is shown behind
# that of the first, each line with its name.
start_guest() {
  (
    (
      "options_$1"
      base_cmdline="$base_cmdline lab.guest=$1"
      "vmm_$vmm" <"$work/never" >"$work/console_$1" 2>&1
    )
    echo $? >"$work/exit_$1"
  ) &
  echo "$1" >>"$work/guests"
}

# Waits for these guests; their time limits see to it that they end.
show_other_guests() {
  [ -e "$work/guests" ] || return 0
  while read -r other; do
    until [ -s "$work/exit_$other" ]; do sleep 0.1; done
    sed "s/^/$other: /" "$work/console_$other"
    [ "$(cat "$work/exit_$other")" = 0 ] ||
      echo "lab: FAIL the guest $other ended with $(cat "$work/exit_$other")"
  done <"$work/guests"
}
