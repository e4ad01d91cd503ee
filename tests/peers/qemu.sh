# shellcheck shell=sh
# The guest of a scenario under QEMU, which emulates its CPU, with virtio devices that are our vhost-user
# back-ends. tools/peers appends it to tests/lab/vmm_command.sh, whose variables these add to.

back_ends=       # Lines of NAME, a space and what `annulus device` is told; each has a socket of its own.
                 # NAME.there is that of a guest that moves, where it goes.
moves=           # yes: the guest goes from one QEMU to another and back; see qemu_that_moves.
qemu_devices=    # Lines of QEMU's -device and -netdev options: CHARDEV_NAME is the chardev of that one.

# back_end_socket NAME
back_end_socket() { echo "$work/$1.socket"; }

# run_back_end NAME: starts, or starts again, what back_ends says of that name. Its process is in
# $work/NAME.back_end; what it says is shown at the end.
run_back_end() {
  # shellcheck disable=SC2046  # Words.
  "$LAB/annulus" device $(echo "$back_ends" | sed -n "s/^$1 //p") --socket "$(back_end_socket "$1")" \
    </dev/null >>"$work/back_ends" 2>&1 &
  echo $! >"$work/$1.back_end"
  tries=400
  until [ -S "$(back_end_socket "$1")" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.05; done
}

# For guests: kills it at once, and starts another, which finds the socket's file still there.
l1_restart_back_end() {
  killed=$(cat "$work/$1.back_end")
  kill -KILL "$killed"
  rm -f "$(back_end_socket "$1")"
  run_back_end "$1"
}

# qemu NAME [OPTION...]: the machine, whose monitor is at $work/NAME.monitor. Its back-ends are those
# without a dot, or, of machine there, those that end in .there.
qemu() {
  machine=$1
  shift
  for back_end in $(echo "$back_ends" | sed -n 's/^\([^ .]*\) .*/\1/p'); do
    socket=$(back_end_socket "$back_end")
    [ "$machine" = here ] || socket=$(back_end_socket "$back_end.there")
    # A card's that is killed is awaited. Devices of other kinds have to be there at once.
    case $back_end in
      net*) reconnect=,reconnect=1 ;;
      *) reconnect= ;;
    esac
    set -- "$@" -chardev "socket,id=$back_end,path=$socket$reconnect"
  done
  # shellcheck disable=SC2086  # Words.
  set -- "$@" $qemu_devices
  timeout -s KILL "$time_limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
    -M q35,accel=tcg,memory-backend=ram -smp "$cpus" -m "$memory" \
    -object "memory-backend-memfd,id=ram,size=$memory,share=on" -serial stdio \
    -pidfile "$work/$machine.pid" -qmp "unix:$work/$machine.monitor,server=on,wait=off" \
    -kernel "$LAB/$kernel" -initrd "$initrd" -append "$(cmdline)" "$@"
}

# vmm_vhost_user: its exit code is QEMU's.
vmm_vhost_user() {
  names=$(echo "$back_ends" | sed -n 's/^\([^ ]*\) .*/\1/p')
  for back_end in $names; do run_back_end "$back_end"; done
  if [ -n "$moves" ]; then qemu_that_moves; else qemu here; fi
  exit_code=$?
  for back_end in $names; do kill "$(cat "$work/$back_end.back_end")"; done
  sed 's/^/back-end: /' "$work/back_ends"
  return $exit_code
}

# The guest begins here, and goes there and back as often as it says so. All of these QEMUs have the same
# console: of two, one does not run.
qemu_that_moves() {
  mkfifo "$work/moves"
  exec 8<>"$work/moves"
  at=here
  begin here
  while read -r what machine code <&8; do
    case $what in
      move)
        [ $at = here ] && at=there || at=here
        rm -f "$work/incoming"
        begin $at -incoming "unix:$work/incoming"
        echo "$at" >"$work/moving"
        ;;
      # Where the guest was it ends by command, and nobody minds how.
      ended)
        [ "$machine" = $at ] || continue
        for pid in "$work"/*.pid; do [ ! -e "$pid" ] || kill "$(cat "$pid")"; done
        return "$code"
        ;;
    esac
  done
}

# begin NAME [OPTION...]: a QEMU in the background.
begin() {
  (
    qemu "$@" <"$work/in"
    echo "ended $1 $?" >&8
  ) &
}

# For guests: goes to another QEMU, while it runs. Says how that went.
l1_move() {
  from=$(cat "$work/moving" 2>/dev/null || echo here)
  rm -f "$work/moving"
  echo move >"$work/moves"
  tries=400
  until [ -S "$work/incoming" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.05; done
  python3 "$LAB/move_guest.py" "$work/$from.monitor" "$work/incoming"
}

# net_device NAME QUEUE_PAIRS OPTIONS: QEMU's card whose back-end has that name. vectors=0: QEMU 7.2 dies of
# vhost-user behind MSI-X where there is no KVM, as it wants an irqfd.
net_device() {
  echo "-netdev vhost-user,id=net-$1,chardev=$1,queues=$2" \
    "-device virtio-net-pci-non-transitional,netdev=net-$1,mac=52:54:00:12:34:56,romfile=,vectors=0,$3"
}

# l1_await_accepted BYTES: until so many are here of what l1_accept_file takes.
l1_await_accepted() {
  tries=2400
  until [ "$(stat -c %s "$work/accepted.part" 2>/dev/null || echo 0)" -ge "$1" ] ||
    [ $((tries -= 1)) = 0 ]; do
    sleep 0.05
  done
}

# For l1_start: the taps are ports of one bridge, which has the address of the first.
bridge_taps() {
  ip link add bridge0 type bridge
  ip link set bridge0 up
  for tap in tap0 tap1; do
    ip address flush dev "$tap"
    ip link set "$tap" master bridge0
  done
  ip address add 10.0.0.1/24 dev bridge0
  ip address add fd00::1/64 dev bridge0 nodad
}

# Random bytes at port 5001, until l1_end_stream; l1_stream_sum is their checksum.
l1_offer_stream() {
  dd if=/dev/urandom of="$work/part" bs=1M count=1 2>/dev/null
  mkfifo "$work/stream"
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c 'sha256sum <"$0/stream" >"$0/sum.part"; mv "$0/sum.part" "$0/sum"' "$work"
  # shellcheck disable=SC2016
  start sh -c 'until [ -e "$0/stream_over" ]; do cat "$0/part"; done | tee "$0/stream" | nc -l -p 5001' "$work"
  listening 5001
}
l1_end_stream() { : >"$work/stream_over"; }
l1_stream_sum() {
  tries=400
  until [ -e "$work/sum" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.05; done
  cut -d ' ' -f 1 <"$work/sum"
}
