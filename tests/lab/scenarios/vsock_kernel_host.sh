# shellcheck shell=sh disable=SC2034
# The host's end is a program for AF_VSOCK, whose sockets tests/guest_user/vsock_shim.cc makes those
# of the device. What cannot pass, because the host's end is an AF_UNIX socket; docs/testing.md has it
# as a table:
#
#   6      SEQPACKET message bounds: AF_UNIX has no MSG_EOR, neither way
#   9      SEQPACKET invalid receive buffer, read by the host: AF_UNIX says EFAULT, where AF_VSOCK of
#          6.1 says ENOMEM; that of 6.12 says EFAULT, too
#   10     poll() with SO_RCVLOWAT, in the host: AF_UNIX does not look at it
# of 6.12 also
#   11     a message that is too large, sent by the host, which asks for SO_VM_SOCKETS_BUFFER_SIZE
#   18-20  MSG_ZEROCOPY, sent by the host: AF_UNIX has not got it
#   22, 23 credit updates, read by the host, which sets SO_VM_SOCKETS_BUFFER_SIZE
#
# and of vsock_diag_test 2, of which the host asks the kernel for its sockets. Under QEMU all are run.
description="the kernel's own vsock_test between guest and host, both directions"
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=on
vsock=cid=3,socket=$work/vsock,pci,packed=on
time_limit=300

# Both ends agree on steps over TCP; that is all there is.
l1_start() { :; }

skips() { [ $# = 0 ] || printf -- '--skip %s ' "$@"; }

guest() {
  check_vsock_device pci 1
  configure_card
  # For the guest as client, then as server.
  case $(l1 vmm):$(uname -r) in
    annulus:6.1.*) as_client='6 9' as_server='6 10' diag='2' ;;
    annulus:*) as_client='6 22 23' as_server='6 10 11 18 19 20' diag='2' ;;
    *) as_client='' as_server='' diag='' ;;
  esac
  # shellcheck disable=SC2046,SC2086  # Options are words.
  {
    kernel_test_with_host vsock_test client 7001 $(skips $as_client)
    kernel_test_with_host vsock_test server 7002 $(skips $as_server)
    kernel_test_with_host vsock_diag_test server 7003 $(skips $diag)
    [ -n "$diag" ] || kernel_test_with_host vsock_diag_test client 7004
  }
}
