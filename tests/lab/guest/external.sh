# shellcheck shell=dash
# What the guest halves of scenarios share whose devices other processes serve: tests/lab/external.sh.

# check_external_devices PACKED MIB KILLS: a card, a socket device and an entropy device; MIB is for files
# that cross the card, both ways, while what serves it is killed KILLS times.
check_external_devices() {
  for device in $(card_device) $(vsock_device) $(rng_devices); do
    check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" "$1"
    check "$device VIRTIO_F_VERSION_1" "$(feature_of "$device" 32)" 1
    # The notification is an eventfd of the other process.
    check "$device VIRTIO_F_NOTIFICATION_DATA" "$(feature_of "$device" 38)" 0
  done
  check 'MAC address' "$(cat /sys/class/net/eth0/address)" 52:54:00:12:34:56

  read_each_hwrng
  l1 restart_external rng
  read_each_hwrng

  configure_card
  check_ping 10.0.0.1 20
  check_file_through_kills "$2" net "$3"
  check_ping 10.0.0.1 20

  serve_guest
  check_both send --bytes 1M
  check_both receive --bytes 1M
  check_both echo --bytes 300k
  check_both_seqpacket messages --count 20
  # Connections are the process's own: after it there are new ones.
  l1 restart_external vsock
  check_peer ping "$host_stream" --wait 20 --bytes 64 --count 5
  check_host_peer ping "$guest_stream" --bytes 64 --count 5
  check_peer send "$host_stream" --bytes 1M
}
