# shellcheck shell=sh disable=SC2034
description='what tools/bench net measures: TCP and UDP both ways, ping latency, and what they cost'
bench=yes
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=on
time_limit=300
# Of each phase.
seconds=4

metric() { echo "lab: metric $1 $2"; }

# phase NAME COMMAND...: runs it and sets, of that time: hundredths of a second, exits of the guest,
# ticks of CPU of the VMM, frames from the guest and to it, interrupts of the card.
phase() {
  phase=$1
  shift
  sleep 0.3
  mark_before=$(l1 mark)
  frames_before=$(statistic rx_packets)
  interrupts_before=$(interrupts_of "$device")
  "$@"
  received_frames=$(($(statistic rx_packets) - frames_before))
  interrupts=$(($(interrupts_of "$device") - interrupts_before))
  # shellcheck disable=SC2046,SC2086  # Words.
  set -- $(l1 mark) $mark_before
  time_cs=$(($1 - $5)) exits=$(($2 - $6)) ticks=$(($3 - $7)) sent_frames=$(($4 - $8))
}

# per NAME COUNT UNITS [FACTOR]: COUNT for each of UNITS.
per() {
  metric "$1" "$(awk -v a="$2" -v b="$3" -v f="${4:-1}" 'BEGIN {
    value = b ? a / b * f : 0
    printf(value < 100 ? "%.3g" : "%.0f", value)
  }')"
}

tcp() {
  phase "$@"
  metric "${phase}_mbps" "$megabits"
  # Ticks are hundredths of a second.
  per "${phase}_cpu_s_per_gb" "$ticks" "$received" 10000000
  per "${phase}_exits_per_mb" "$exits" "$received" 1000000
  per "${phase}_interrupts_per_mb" "$interrupts" "$received" 1000000
}

# udp NAME FRAMES_VARIABLE COMMAND...
udp() {
  frames_variable=$2 udp_phase=$1
  shift 2
  phase "$udp_phase" "$@"
  eval "frames=\$$frames_variable"
  per "${phase}_pps" "$frames" "$time_cs" 100
  per "${phase}_exits_per_packet" "$exits" "$frames"
  per "${phase}_interrupts_per_packet" "$interrupts" "$frames"
  per "${phase}_cpu_us_per_packet" "$ticks" "$frames" 10000
}

# Frames of 64 bytes as the card sees them, as fast as the kernel can, to a station that is nobody:
# the card at the other end counts them and drops them.
pktgen_send() {
  pktgen_to 0 eth0 52:54:00:00:00:01 10.0.0.3 10.0.0.4
  echo start >/proc/net/pktgen/pgctrl &
  sleep $seconds
  echo stop >/proc/net/pktgen/pgctrl
  wait $!
}
pktgen_receive() {
  l1 pktgen_start
  sleep $seconds
  l1 pktgen_stop
}

# pktgen_to CPU INTERFACE STATION SOURCE DESTINATION; also in L1.
pktgen_to() {
  echo rem_device_all >"/proc/net/pktgen/kpktgend_$1"
  echo "add_device $2" >"/proc/net/pktgen/kpktgend_$1"
  for command in 'count 0' 'pkt_size 64' "dst_mac $3" "src_min $4" "src_max $4" "dst $5"; do
    echo "$command" >"/proc/net/pktgen/$2"
  done
}

latency() {
  ping -A -c 500 10.0.0.1 | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -g >/tmp/times
}

guest() {
  insmod /modules/pktgen.ko
  device=$(card_device)
  configure_card
  check_ping 10.0.0.1 20
  metric packed "$(feature_of "$device" 34)"
  phase ping latency
  metric ping_median_us "$(awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] * 1000 }' /tmp/times)"
  metric ping_min_us "$(awk 'NR == 1 { print $1 * 1000 }' /tmp/times)"
  tcp tcp_sent traffic 'TCP sent' -t $seconds
  tcp tcp_received traffic 'TCP received' -t $seconds -R
  udp udp_sent sent_frames pktgen_send
  udp udp_received received_frames pktgen_receive
  # As a program sees it, with its system calls.
  traffic 'UDP by iperf3, sent' -u -b 0 -l 22 -t $seconds
  metric iperf3_udp_sent_pps "$(udp_rate)"
  traffic 'UDP by iperf3, received' -u -b 0 -l 22 -t $seconds -R
  metric iperf3_udp_received_pps "$(udp_rate)"
}

# Packets that arrived, in a second.
udp_rate() {
  awk -v packets="$(received_value packets)" -v lost="$(received_value lost_packets)" \
    -v seconds="$(received_value seconds)" \
    'BEGIN { print seconds ? int((packets - lost) / seconds) : 0 }'
}

# Hundredths of a second, exits, ticks of CPU, frames that the VMM gave to the tap. CPU is that of all
# the VMM's threads and its vhost thread, without what the guest ran.
l1_mark() {
  pid=$(cat "$work/pid")
  exits=$(cat /sys/kernel/debug/kvm/exits || echo 0)
  # shellcheck disable=SC2046  # Words.
  ticks=$(cat "/proc/$pid/stat" $(grep -l "(vhost-$pid)" /proc/[0-9]*/stat 2>/dev/null) |
    sed 's/.*) //' | awk '{ sum += $12 + $13 - $41 } END { print sum }')
  frames=$(sed -n 's/^ *tap0: *[0-9]* *\([0-9]*\) .*/\1/p' /proc/net/dev)
  echo "$(uptime_cs) $exits $ticks $frames"
}

l1_pktgen_start() {
  [ -e /proc/net/pktgen ] || insmod /modules/pktgen.ko
  pktgen_to 0 tap0 52:54:00:12:34:56 10.0.0.3 10.0.0.4
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c 'echo start >/proc/net/pktgen/pgctrl'
}
l1_pktgen_stop() { echo stop >/proc/net/pktgen/pgctrl; }
