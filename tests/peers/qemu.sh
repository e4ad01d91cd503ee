# shellcheck shell=sh
# The guest of a scenario under QEMU, which emulates its CPU, with virtio devices that are our vhost-user
# back-ends. tools/peers appends it to tests/lab/vmm_command.sh, whose variables these add to.

back_ends=       # Lines of NAME, a space and what `annulus device` is told; each has a socket of its own.
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
  # Until it is gone it holds its state file.
  while [ -e "/proc/$killed" ] && ! grep -q '^State:.*Z' "/proc/$killed/status"; do sleep 0.01; done
  rm -f "$(back_end_socket "$1")"
  run_back_end "$1"
}

# vmm_vhost_user: its exit code is QEMU's.
vmm_vhost_user() {
  set --
  names=$(echo "$back_ends" | sed -n 's/^\([^ ]*\) .*/\1/p')
  for back_end in $names; do
    run_back_end "$back_end"
    # A card's that is killed is awaited. Devices of other kinds have to be there at once.
    case $back_end in
      net*) reconnect=,reconnect=1 ;;
      *) reconnect= ;;
    esac
    set -- "$@" -chardev "socket,id=$back_end,path=$(back_end_socket "$back_end")$reconnect"
  done
  # shellcheck disable=SC2086  # Words.
  set -- "$@" $qemu_devices
  timeout -s KILL "$time_limit" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
    -M q35,accel=tcg,memory-backend=ram -smp "$cpus" -m "$memory" \
    -object "memory-backend-memfd,id=ram,size=$memory,share=on" -serial stdio \
    -kernel "$LAB/$kernel" -initrd "$initrd" -append "$(cmdline)" "$@"
  exit_code=$?
  for back_end in $names; do kill "$(cat "$work/$back_end.back_end")"; done
  sed 's/^/back-end: /' "$work/back_ends"
  return $exit_code
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
