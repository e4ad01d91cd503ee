# shellcheck shell=dash
# What the guest halves of scenarios with network cards share. Runs in the guest, under busybox;
# tests/lab/network.sh is what they talk to.

while read -r module; do insmod "/modules/$module.ko"; done </net/modules

# Where L1 serves.
server=10.0.0.1

ip() { /net/ip "$@"; }
iperf3() { /net/iperf3 "$@"; }
ethtool() { /net/ethtool "$@"; }

# eth0's virtioN.
card_device() { basename "$(readlink -f /sys/class/net/eth0/device)"; }

# statistic NAME: of eth0.
statistic() { cat "/sys/class/net/eth0/statistics/$1"; }

# Features by their numbers in virtio 1.4 §5.1.3. check_card TRANSPORT PACKED: that eth0 hangs there
# and the driver uses what every card here has.
check_card() {
  device=$(card_device)
  check "$device over" "$(transport_of "$device")" "$1"
  check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" "$2"
  for feature in 0:CSUM 1:GUEST_CSUM 2:CTRL_GUEST_OFFLOADS 5:MAC 7:GUEST_TSO4 8:GUEST_TSO6 \
    11:HOST_TSO4 12:HOST_TSO6 15:MRG_RXBUF 16:STATUS 17:CTRL_VQ 18:CTRL_RX 19:CTRL_VLAN \
    23:CTRL_MAC_ADDR; do
    check "$device VIRTIO_NET_F_${feature#*:}" "$(feature_of "$device" "${feature%:*}")" 1
  done
  check 'MAC address' "$(cat /sys/class/net/eth0/address)" 52:54:00:12:34:56
}

# Static addresses, both families; nodad: nobody else is there.
configure_card() {
  ip link set lo up
  ip link set eth0 up
  ip address add 10.0.0.2/24 dev eth0
  ip address add fd00::2/64 dev eth0 nodad
  await_value carrier 1 cat /sys/class/net/eth0/carrier
}

# check_ping ADDRESS COUNT [OPTION...]: that none is lost.
check_ping() {
  ping_address=$1 ping_count=$2
  shift 2
  check "pings of $ping_address $*" "$(ping -q -A -c "$ping_count" "$@" "$ping_address" |
    sed -n 's/.* \([0-9]*\) packets received.*/\1/p')" "$ping_count"
}

# traffic NAME OPTION...: runs iperf3; sets megabits and received, the bytes that reached the other
# end.
traffic() {
  traffic_name=$1
  shift
  if ! timeout 60 /net/iperf3 -c "$server" -J "$@" >/tmp/iperf; then
    fail "$traffic_name: iperf3:$(sed -n 's/.*"error"://p' /tmp/iperf)"
    megabits=0 received=0
    return
  fi
  received=$(received_value bytes)
  megabits=$(received_value bits_per_second | awk '{ printf "%.1f", $1 / 1000000 }')
  echo "lab: $traffic_name: $received bytes, $megabits Mbit/s"
}

# Of the receiver, when all is over: for UDP that is in "sum", and what got lost is counted in it.
received_value() {
  awk -v key="\"$1\":" '
    /"end":/ { end = 1 }
    end && /"sum_received":|"sum":/ { inside = 1 }
    inside && $1 == key { value = $2 }
    /}/ { inside = 0 }
    END { print value + 0 }' /tmp/iperf
}

# check_tcp NAME MIB OPTION...: that a good part arrives: iperf3 does not wait for what is under way
# when all is sent. That all arrives is what check_file is for.
check_tcp() {
  tcp_name=$1 tcp_mib=$2
  shift 2
  traffic "$tcp_name" -n "${tcp_mib}M" "$@"
  [ "$received" -ge $((tcp_mib * 1024 * 1024 / 8)) ] ||
    fail "$tcp_name: $received bytes arrived of $tcp_mib MiB"
}

# check_udp NAME OPTION...: that most arrives, of a stream that is not fast.
check_udp() {
  udp_name=$1
  shift
  traffic "$udp_name" -u -b 8M -t 1 -l 1000 "$@"
  lost=$(received_value lost_percent)
  echo "lab: $udp_name: $lost % lost"
  [ "$received" -gt 200000 ] || fail "$udp_name: only $received bytes arrived"
}

# check_file MIB: a random file from L1 and back again, byte by byte.
check_file() {
  mkfifo /tmp/never 2>/dev/null
  expected=$(l1 offer_file "$1")
  timeout 60 nc "$server" 5001 <>/tmp/never >/tmp/file
  check "SHA-256 of $1 MiB received" "$(sha256sum </tmp/file | cut -d ' ' -f 1)" "$expected"
  l1 accept_file
  timeout 60 nc "$server" 5002 </tmp/file
  check "SHA-256 of $1 MiB sent" "$(l1 accepted)" "$expected"
  rm /tmp/file
}

# size FILE
size() { stat -c %s "$1" 2>/dev/null || echo 0; }

# check_file_through_kills MIB PROCESS KILLS: a random file from L1, and one to it, while the process that
# serves the card is killed so many times and started again.
check_file_through_kills() {
  mib=$1 process=$2 kills=$3
  mkfifo /tmp/never 2>/dev/null
  expected=$(l1 offer_file "$mib")
  timeout 200 nc "$server" 5001 <>/tmp/never >/tmp/file &
  transfer=$!
  for kill in $(seq "$kills"); do
    tries=1200
    until [ "$(size /tmp/file)" -ge $((mib * 1048576 * kill / (kills + 1))) ] ||
      [ $((tries -= 1)) = 0 ]; do
      sleep 0.02
    done
    l1 restart_external "$process"
    check_in_the_middle "$(size /tmp/file)" "$mib"
  done
  wait $transfer
  check "SHA-256 of $mib MiB received" "$(sha256sum </tmp/file | cut -d ' ' -f 1)" "$expected"
  expected=$(sha256sum </tmp/file | cut -d ' ' -f 1)
  l1 accept_file
  timeout 200 nc "$server" 5002 </tmp/file &
  transfer=$!
  for kill in $(seq "$kills"); do
    arrived=$(l1 accepted_bytes $((mib * 1048576 * kill / (kills + 1))))
    l1 restart_external "$process"
    check_in_the_middle "$arrived" "$mib"
  done
  wait $transfer
  check "SHA-256 of $mib MiB sent" "$(l1 accepted)" "$expected"
  rm /tmp/file
}
check_in_the_middle() {
  echo "lab: $1 bytes had arrived when the back-end was killed"
  if [ "$1" -eq 0 ] || [ "$1" -ge $(($2 * 1048576)) ]; then fail "killed at $1 bytes"; fi
}

# check_stream METHOD "RECEIVER_OPTIONS" OPTION...: that hs_receive gets a stream with these options.
# The card is without a driver then.
check_stream() {
  stream_method=$1 stream_receiver=$2
  shift 2
  l1 start_stream "$@"
  # shellcheck disable=SC2086  # Options are words.
  if stream_said=$(timeout 90 /net/hs_receive --method "$stream_method" $stream_receiver "$@" 2>&1); then
    echo "lab: ok $stream_said"
    check "hs_send $*" "$(l1 stream_sent | sed 's/.*: //')" PASS
  else
    fail "stream $*: $stream_said"
    l1 stop_stream
  fi
}

# interrupts_of_vector NAME
interrupts_of_vector() {
  awk -v name="$1" '$NF == name { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' \
    /proc/interrupts
}

# How many queue pairs there are, and how many are used.
queue_pairs() { ethtool -l eth0 | awk '/^Combined/ { printf "%s ", $2 }'; }

# What every card does, whatever its transport and ring.
check_network() {
  configure_card
  check_ping 10.0.0.1 100
  check_ping fd00::1 20
  check_tcp 'TCP sent' 8
  check_tcp 'TCP received' 8 -R
  check_udp 'UDP sent'
  check_udp 'UDP received' -R
  check_file 2
}
