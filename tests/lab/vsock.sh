# shellcheck shell=dash
# The L1 half of scenarios with a socket device, read by run_scenario.sh. The host's end of the device
# is UNIX sockets at $work/vsock; of QEMU's, AF_VSOCK. The guest's CID is 3.

# here PORT: the address at which the host listens for the guest. there PORT: the guest's.
here() { host_address any "$1"; }
there() { host_address 3 "$1"; }
host_address() {
  case $vmm in
    qemu*) echo "vsock:$1:$2" ;;
    *) echo "device:$work/vsock:$2" ;;
  esac
}

# serve PORT [OPTION...]: does what programs of the guest ask for there; see vsock_peer --help.
serve() {
  serve_port=$1
  shift
  start "$LAB/vsock/vsock_peer" serve "$(here "$serve_port")" "$@"
}

# The servers that check_vsock of the guest wants.
serve_vsock() {
  l1_serve
  serve 5001 --seqpacket
}
# The first of them, once or once more, and how it is killed.
l1_serve() {
  serve 5000
  echo "$started" >"$work/server"
}
l1_kill_server() { kill -KILL "$(cat "$work/server")"; }

# l1_peer COMMAND PORT [OPTION...]: what vsock_peer says about the guest's port.
l1_peer() {
  peer_command=$1 peer_port=$2
  shift 2
  "$LAB/vsock/vsock_peer" "$peer_command" "$(there "$peer_port")" --wait 20 "$@" | tail -n 1
}

# The same in the background; l1_said waits for what it says at last, l1_running for its first line.
l1_start_peer() {
  peer_command=$1 peer_port=$2
  shift 2
  start_saying "$LAB/vsock/vsock_peer" "$peer_command" "$(there "$peer_port")" --wait 20 "$@"
}
# At a port of the host.
l1_start_notified() { start_saying "$LAB/vsock/vsock_peer" notified "$(here "$1")" --seqpacket; }
l1_said() { await_line 'PASS|FAIL|^exit'; }
l1_running() { await_line '^started|FAIL'; }

# start_saying COMMAND...: in the background; what it says is in a file of its own.
start_saying() {
  : >"$work/said"
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c 'exec "$@" >"$0" 2>&1' "$work/said" "$@"
}

# await_line REGEX: waits for such a line, and prints the first.
await_line() {
  tries=2400
  until grep -E -m 1 "$1" "$work/said" || [ $((tries -= 1)) = 0 ]; do sleep 0.05; done
}

# l1_start_kernel_test PROGRAM MODE PORT [OPTION...]: the host's end of one of the kernel's own tests.
# Its sockets are turned into the device's, where the host has not got those of the kernel.
l1_start_kernel_test() {
  test_program=$1 test_mode=$2 test_port=$3
  shift 3
  [ "$test_mode" = server ] && test_host=10.0.0.1 || test_host=10.0.0.2
  case $vmm in
    qemu*) shim='' ;;
    *) shim=$LAB/vsock/libvsock_shim.so ;;
  esac
  start_saying env SHIM="$shim" VSOCK_SHIM_PATH="$work/vsock" VSOCK_SHIM_CID=3 \
    sh "$LAB/kernel_test.sh" "$LAB/vsock/$test_program" "$test_mode" "$test_host" "$test_port" 3 "$@"
}
# What it said, in one line.
l1_kernel_test_said() {
  await_line '^exit' >/dev/null
  tr '\n' ';' <"$work/said"
}

# call_early: somebody calls the guest's port 6000 as soon as the device's socket is there, long before
# the guest is up; l1_said says how it went.
call_early() {
  : >"$work/said"
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c '
    until [ -S "$1" ]; do sleep 0.01; done
    exec "$2" ping "$3" --timeout 100 --bytes 64 --count 5 >"$0" 2>&1
  ' "$work/said" "$work/vsock" "$LAB/vsock/vsock_peer" "$(there 6000)"
}

# How many files the VMM has open.
l1_vmm_descriptors() { find "/proc/$(cat "$work/pid")/fd" -type l | wc -l; }
