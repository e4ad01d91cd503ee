# shellcheck shell=dash
# What the guest halves of scenarios with a socket device share. Runs in the guest, under busybox;
# tests/lab/vsock.sh is what they talk to.

while read -r module; do insmod "/modules/$module.ko"; done </vsock/modules

# Ports of the host at which L1 serves, and of the guest.
host_stream=5000 host_seqpacket=5001
guest_stream=6000 guest_seqpacket=6001

# virtioN of the socket device.
vsock_device() { (cd /sys/bus/virtio/drivers/vmw_vsock_virtio_transport && ls -d virtio[0-9]*); }

# check_vsock_device TRANSPORT PACKED: that it hangs there, and what the driver uses.
check_vsock_device() {
  device=$(vsock_device)
  check "$device over" "$(transport_of "$device")" "$1"
  check "$device VIRTIO_VSOCK_F_SEQPACKET" "$(feature_of "$device" 1)" 1
  # Where the host's end is the kernel's there are split rings only.
  [ "$(l1 vmm)" != annulus ] ||
    check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" "$2"
}

# serve_guest: what programs of the host ask for at the guest's ports.
serve_guest() {
  serve_guest_stream
  /vsock/vsock_peer serve --seqpacket "vsock:any:$guest_seqpacket" >/tmp/served_seqpacket 2>&1 &
}
serve_guest_stream() {
  /vsock/vsock_peer serve "vsock:any:$guest_stream" >/tmp/served 2>&1 &
  guest_server=$!
}

# passes TEXT: a line of vsock_peer.
passes() {
  case $1 in
    vsock_peer*PASS) echo "lab: ok $1" ;;
    *) fail "$2: $1" ;;
  esac
}

# check_peer COMMAND PORT [OPTION...]: vsock_peer, connected to the host's port.
check_peer() {
  peer_command=$1 peer_port=$2
  shift 2
  passes "$(/vsock/vsock_peer "$peer_command" "vsock:2:$peer_port" "$@" 2>&1 | tail -n 1)" \
    "guest to host, $peer_command $peer_port $*"
}

# check_host_peer COMMAND PORT [OPTION...]: vsock_peer of the host, connected to the guest's port.
check_host_peer() { passes "$(l1 peer "$@")" "host to guest, $*"; }

# check_both COMMAND [OPTION...]: from either side; a stream.
check_both() {
  both_command=$1
  shift
  check_peer "$both_command" $host_stream "$@"
  check_host_peer "$both_command" $guest_stream "$@"
}
# The same with packets in sequence.
check_both_seqpacket() {
  both_command=$1
  shift
  check_peer "$both_command" $host_seqpacket --seqpacket "$@"
  check_host_peer "$both_command" $guest_seqpacket --seqpacket "$@"
}

# What every socket device does, whatever its transport and ring. Needs serve_vsock in L1.
check_vsock() {
  serve_guest
  check_both send --bytes 4M
  check_both receive --bytes 4M
  check_both send --bytes 64k --chunk 100
  check_both receive --bytes 64k --chunk 100
  check_both echo --bytes 1M
  check_both half-close --bytes 300k
  check_both half-close --reverse --bytes 300k
  check_both ping --bytes 64 --count 100
  check_both churn --count 40
  check_both hold --count 40
  check_both_seqpacket send --bytes 1M
  check_both_seqpacket receive --bytes 1M
  check_both_seqpacket messages --count 50
  check_both_seqpacket half-close --bytes 300k
  check_notification
  check_failures
}

# A service of the guest says that it is ready, as sd_notify does over SEQPACKET: two messages, end
# of sending, and waiting for the end.
check_notification() {
  l1 start_notified 5002
  check_peer notify 5002 --seqpacket --wait 20 READY=1 STATUS=up
  check 'what was notified' "$(l1 said)" 'vsock_peer notified: messages=READY=1;|STATUS=up; PASS'
}

# That all servers, at both ends, have seen what their clients have.
check_failures() {
  check_both failures
  check_both_seqpacket failures
}

# kernel_test PROGRAM MODE HOST PORT CID [OPTION...]: this end of one of the kernel's own tests.
kernel_test() {
  test_program=$1 test_mode=$2
  shift
  sh /vsock/kernel_test.sh "/vsock/$test_program" "$@" >/tmp/kernel_test
  sed "s/^/lab: $test_program $test_mode: /" /tmp/kernel_test
  check "$test_program as $test_mode" "$(tail -n 1 /tmp/kernel_test)" 'exit 0'
}

# kernel_test_with_host PROGRAM MODE PORT [OPTION...]: both ends; MODE is the guest's.
kernel_test_with_host() {
  with_program=$1 with_mode=$2 with_port=$3
  shift 3
  [ "$with_mode" = client ] && with_other=server || with_other=client
  l1 start_kernel_test "$with_program" "$with_other" "$with_port" "$@"
  [ "$with_mode" = client ] && with_host=10.0.0.1 || with_host=10.0.0.2
  kernel_test "$with_program" "$with_mode" "$with_host" "$with_port" 2 "$@"
  with_said=$(l1 kernel_test_said)
  case $with_said in
    *'exit 0;') echo "lab: ok $with_program as $with_other, in the host" ;;
    *) fail "$with_program as $with_other, in the host: $with_said" ;;
  esac
}

# Many bytes and connections, a thousand of them at once; ends that do not read for a while; what
# happens to the ends of those that are killed. Needs serve_vsock in L1, and serve_guest.
check_vsock_load() {
  load_descriptors=$(l1 vmm_descriptors)
  check_peer send $host_stream --bytes 32M
  check_peer receive $host_stream --bytes 32M
  check_both churn --count 500
  check_both hold --count 1000
  check_both half-close --bytes 4M
  check_both half-close --reverse --bytes 4M
  check_both_seqpacket messages --count 50 --chunk 128k
  check_both stall --bytes 8M --delay 6
  check_both stall --bytes 8M --delay 6 --reverse
  check_notification
  check_failures
  # Of all these connections nothing is left.
  await_value 'open files of the VMM' "$load_descriptors" l1 vmm_descriptors
  check_killed_host
  check_killed_host --reverse
  check_killed_guest
  check_killed_guest --reverse
  await_value 'open files of the VMM' "$load_descriptors" l1 vmm_descriptors
}

# check_killed_host [--reverse]: the host's program is killed while it receives, or sends; another one
# takes its place.
check_killed_host() {
  /vsock/vsock_peer endless vsock:2:$host_stream "$@" >/tmp/endless 2>&1 &
  endless=$!
  await_value 'transfer' started head -n 1 /tmp/endless
  l1 kill_server
  wait $endless
  passes "$(tail -n 1 /tmp/endless)" "host killed, $*"
  l1 serve
  check_peer ping $host_stream --wait 20 --bytes 64 --count 5
}

# The guest's program is.
check_killed_guest() {
  l1 start_peer endless $guest_stream "$@"
  check 'transfer' "$(l1 running)" started
  kill -KILL "$guest_server"
  passes "$(l1 said)" "guest killed, $*"
  serve_guest_stream
  check_host_peer ping $guest_stream --bytes 64 --count 5
}
