# shellcheck shell=sh disable=SC2034,SC2154
description='the control socket: paused and resumed many times under network and vsock load, which loses nothing; link, events, metrics'
only_annulus=yes
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=on
vsock=cid=3,socket=$work/vsock,pci,packed=on
vmm_options="--control $work/control"
time_limit=400

l1_start() {
  serve_vsock
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c '
    until [ -S "$1" ]; do sleep 0.05; done
    exec "$0" ctl "$1" events >"$2"
  ' "$LAB/annulus" "$work/control" "$work/events"
}

guest() {
  check_card pci 1
  check_vsock_device pci 1
  configure_card
  check 'state' "$(l1 state)" running

  l1 start_pauses
  check_file 8
  check_peer send "$host_stream" --bytes 16M
  check_peer receive "$host_stream" --bytes 16M
  check_file 8
  pauses=$(l1 stop_pauses)
  echo "lab: paused $pauses times"
  [ "$pauses" -ge 10 ] || fail "paused $pauses times only"
  check 'state' "$(l1 state)" running
  check_ping 10.0.0.1 20

  l1 ctl link net0 down
  await_value 'carrier, cable pulled' 0 cat /sys/class/net/eth0/carrier
  l1 ctl link net0 up
  await_value 'carrier, cable plugged in' 1 cat /sys/class/net/eth0/carrier
  # An address of IPv6 goes with the link.
  check_ping 10.0.0.1 20
  check 'link of a card that is not there' "$(l1 refused link 5 up)" \
    'there is no card net5'

  check 'events of the network card' "$(l1 events_of net0)" 'driver ready;link down;link up;'
  check 'pauses that were told of' "$(l1 count_events paused)" "$pauses"
  [ "$(l1 metric 'annulus_net_frames_total.*queue="rx0"')" -gt 1000 ] || fail 'frames were not counted'
  [ "$(l1 metric 'annulus_vsock_bytes_total.*queue="tx"')" -ge 16777216 ] || fail 'bytes were not counted'
}

l1_ctl() { "$LAB/annulus" ctl "$work/control" "$@"; }
l1_refused() { l1_ctl "$@" 2>&1 | sed 's/.*control: //'; }
l1_state() { l1_ctl status | sed -n 's/^state: *//p'; }
l1_metric() { l1_ctl metrics | sed -n "s/^$1.* //p"; }
l1_events_of() { sed -n "s/^[^ ]* $1 //p" "$work/events" | tr '\n' ';'; }
l1_count_events() { grep -c " $1\$" "$work/events"; }

l1_start_pauses() {
  rm -f "$work/enough" "$work/pauses"
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c '
    count=0
    until [ -e "$2" ]; do
      "$0" ctl "$1" pause && sleep 0.1 && "$0" ctl "$1" resume && count=$((count + 1))
      sleep 0.2
    done
    echo $count >"$3.part"
    mv "$3.part" "$3"
  ' "$LAB/annulus" "$work/control" "$work/enough" "$work/pauses"
}
l1_stop_pauses() {
  : >"$work/enough"
  until [ -e "$work/pauses" ]; do sleep 0.05; done
  cat "$work/pauses"
}
