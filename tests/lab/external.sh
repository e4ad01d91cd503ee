# shellcheck shell=dash
# The L1 half of scenarios whose VM has devices that other processes serve, read by run_scenario.sh.
#
# external is lines of NAME, a space and what `annulus device` is told, with --socket or --connect. A
# line is a process of its own, started before the VM.

# device_socket NAME: for a scenario's lines, and for --net and so on.
device_socket() { echo "$work/$1.device"; }

external_names() { echo "$external" | sed -n 's/^\([^ ]*\) .*/\1/p'; }

start_externals() {
  [ -n "$external" ] || return 0
  for name_of_external in $(external_names); do start_external "$name_of_external"; done
}

# start_external NAME: until it listens, if it does.
start_external() {
  # shellcheck disable=SC2046  # Words.
  set -- "$1" $(echo "$external" | sed -n "s/^$1 //p")
  name_of_external=$1
  shift
  [ -z "$LAB_SANDBOX" ] || set -- "$@" --sandbox "$LAB_SANDBOX"
  "$LAB/annulus" device "$@" <"$work/never" >>"$work/$name_of_external.said" 2>&1 &
  echo $! >"$work/$name_of_external.pid"
  case $* in
    *--connect*) return ;;
  esac
  tries=400
  until [ -S "$(device_socket "$name_of_external")" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.05; done
}

# For guests: killed at once, with no time to say good-bye, and another started, which finds the
# socket's file still there.
l1_restart_external() {
  kill -KILL "$(cat "$work/$1.pid")"
  wait "$(cat "$work/$1.pid")" 2>/dev/null
  start_external "$1"
}

# What they said goes to L1's console.
stop_externals() {
  for name_of_external in $(external_names); do
    kill "$(cat "$work/$name_of_external.pid")" 2>/dev/null
    sed "s/^/$name_of_external: /" "$work/$name_of_external.said" >&2
  done
}

# l1_accepted_bytes BYTES: until so many are here of what l1_accept_file takes; says how many.
l1_accepted_bytes() {
  tries=2400
  until [ "$(stat -c %s "$work/accepted.part" 2>/dev/null || echo 0)" -ge "$1" ] ||
    [ $((tries -= 1)) = 0 ]; do
    sleep 0.05
  done
  stat -c %s "$work/accepted.part"
}
