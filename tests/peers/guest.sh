# shellcheck shell=dash
# What the guest halves of the scenarios beside this file share.

# check_vhost_card PACKED [QUEUE_PAIRS]: that eth0 is there, and what the driver uses of what our back-end
# offers through QEMU. Features by their numbers in virtio 1.4 §5.1.3 and §6.
check_vhost_card() {
  device=$(card_device)
  check "$device over" "$(transport_of "$device")" pci
  check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" "$1"
  for feature in 0:CSUM 1:GUEST_CSUM 5:MAC 7:GUEST_TSO4 8:GUEST_TSO6 11:HOST_TSO4 12:HOST_TSO6 \
    15:MRG_RXBUF 16:STATUS 17:CTRL_VQ 28:INDIRECT_DESC 29:EVENT_IDX; do
    check "$device ${feature#*:}" "$(feature_of "$device" "${feature%:*}")" 1
  done
  check 'MAC address' "$(cat /sys/class/net/eth0/address)" 52:54:00:12:34:56
}

# size FILE
size() { stat -c %s "$1" 2>/dev/null || echo 0; }

# await_size FILE BYTES: that long it may take on a busy machine.
await_size() {
  tries=1200
  until [ "$(size "$1")" -ge "$2" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.1; done
  [ $tries -gt 0 ] || fail "$1 has $(size "$1") bytes and grows no further"
}

# check_file_received_through_kills MIB BACK_END: a random file from the host, while the back-end is killed
# three times.
check_file_received_through_kills() {
  mkfifo /tmp/never 2>/dev/null
  expected=$(l1 offer_file "$1")
  timeout 200 nc "$server" 5001 <>/tmp/never >/tmp/file &
  transfer=$!
  for quarter in 1 2 3; do
    await_size /tmp/file $(($1 * 262144 * quarter))
    echo "lab: $(size /tmp/file) bytes are here; the back-end is killed"
    l1 restart_back_end "$2"
  done
  wait $transfer
  check "SHA-256 of $1 MiB received" "$(sha256sum </tmp/file | cut -d ' ' -f 1)" "$expected"
}

# check_file_sent_through_kills MIB BACK_END: and one to the host.
check_file_sent_through_kills() {
  dd if=/dev/urandom of=/tmp/file bs=1M count="$1" 2>/dev/null
  expected=$(sha256sum </tmp/file | cut -d ' ' -f 1)
  l1 accept_file
  timeout 200 nc "$server" 5002 </tmp/file &
  transfer=$!
  for quarter in 1 2 3; do
    l1 await_accepted $(($1 * 262144 * quarter))
    l1 restart_back_end "$2"
  done
  wait $transfer
  check "SHA-256 of $1 MiB sent" "$(l1 accepted)" "$expected"
}

# check_stream_received_while_moving: random bytes from the host, which end when the guest is at another QEMU.
check_stream_received_while_moving() {
  mkfifo /tmp/never 2>/dev/null
  l1 offer_stream
  before=$(statistic rx_bytes)
  timeout 300 nc "$server" 5001 <>/tmp/never | sha256sum >/tmp/sum &
  transfer=$!
  await_statistic rx_bytes $((before + 4194304))
  echo "lab: $(l1 move)"
  echo "lab: $(($(statistic rx_bytes) - before)) bytes are here after the move"
  l1 end_stream
  wait $transfer
  check 'SHA-256 of what was received' "$(cut -d ' ' -f 1 </tmp/sum)" "$(l1 stream_sum)"
}

# check_stream_sent_while_moving: and to the host.
check_stream_sent_while_moving() {
  dd if=/dev/urandom of=/tmp/part bs=1M count=1 2>/dev/null
  mkfifo /tmp/stream
  l1 accept_file
  before=$(statistic tx_bytes)
  sha256sum </tmp/stream >/tmp/sum &
  sum=$!
  until [ -e /tmp/stream_over ]; do cat /tmp/part; done | tee /tmp/stream | timeout 300 nc "$server" 5002 &
  transfer=$!
  await_statistic tx_bytes $((before + 4194304))
  echo "lab: $(l1 move)"
  echo "lab: $(($(statistic tx_bytes) - before)) bytes were sent after the move"
  : >/tmp/stream_over
  wait $transfer $sum
  check 'SHA-256 of what was sent' "$(l1 accepted)" "$(cut -d ' ' -f 1 </tmp/sum)"
}

# await_statistic NAME VALUE: of eth0.
await_statistic() {
  tries=1200
  until [ "$(statistic "$1")" -ge "$2" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.1; done
}
