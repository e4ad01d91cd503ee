# shellcheck shell=dash
# The L1 half of scenarios with network cards, read by run_scenario.sh: makes the other end of each
# card's cable. servers.sh is read before it.

ip() { "$LAB/network/ip" "$@"; }
iperf3() { "$LAB/network/iperf3" "$@"; }

# unprivileged COMMAND...: as a user who may do nothing. The first file system of a machine cannot be
# pivoted away, which passt does; so there it gets another above that one.
unprivileged() {
  # A user's own namespaces: root of nothing else.
  if [ "$LAB_NAMESPACE" = user ]; then exec "$@"; fi
  mkdir -p "$work/root" /etc
  # L1 has no users.
  [ -e /etc/passwd ] || echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd
  program=$1
  shift
  # shellcheck disable=SC2016  # For the inner shell.
  exec unshare -m sh -c '
    mount -o rbind / "$0" && cd "$0" && mount -o move . / &&
      exec chroot . /bin/busybox start-stop-daemon -S -c nobody:65534 -x "$@"
  ' "$work/root" "$program" -- "$@"
}

# listening PORT: waits until a server does, for ten seconds.
listening() {
  port=$(printf '%04X' "$1")
  tries=200
  until cat /proc/net/tcp /proc/net/tcp6 | grep -q ":$port 0*:0000 0A " || [ $((tries -= 1)) = 0 ]; do
    sleep 0.05
  done
}

# option_of_card CARD NAME: its value, or nothing.
option_of_card() { echo ",$1," | sed -n "s/.*,$2=\([^,]*\),.*/\1/p"; }

# Taps for all cards that have one, also in another process, with addresses on tap0.
start_network() {
  ip link set lo up
  for card in $cards $external; do
    tap=$(option_of_card "$card" tap)
    [ -n "$tap" ] || continue
    queues=$(option_of_card "$card" queues)
    [ "${queues:-1}" = 1 ] && queues= || queues=multi_queue
    # shellcheck disable=SC2086
    ip tuntap add "$tap" mode tap vnet_hdr $queues
    mtu=$(option_of_card "$card" mtu)
    ip link set "$tap" mtu "${mtu:-1500}" up
  done
  if [ -e /proc/sys/net/ipv4/conf/tap0 ]; then
    ip address add 10.0.0.1/24 dev tap0
    ip address add fd00::1/64 dev tap0 nodad
  fi
}

# A file of MIB random mebibytes to fetch at port 5001; says its checksum.
l1_offer_file() {
  dd if=/dev/urandom of="$work/offered" bs=1M count="$1" 2>/dev/null
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c 'exec nc -l -p 5001 <"$0"' "$work/offered"
  listening 5001
  sha256sum <"$work/offered" | cut -d ' ' -f 1
}

# Port 5002 takes a file, whose checksum l1_accepted says.
l1_accept_file() {
  rm -f "$work/accepted"
  # shellcheck disable=SC2016
  start sh -c 'nc -l -p 5002 >"$0.part"; mv "$0.part" "$0"' "$work/accepted"
  listening 5002
}
l1_accepted() {
  tries=200
  until [ -e "$work/accepted" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.05; done
  sha256sum <"$work/accepted" | cut -d ' ' -f 1
}

# A stream for hs_receive, whose options these are, too, to the card at tap0.
l1_start_stream() {
  rm -f "$work/stream"
  ip neigh replace 10.0.0.2 lladdr 52:54:00:12:34:56 nud permanent dev tap0
  case $* in
    *udp6*)
      echo 0 >/proc/sys/net/ipv6/conf/tap0/disable_ipv6
      ip address replace fd00::1/64 dev tap0 nodad
      ip neigh replace fd00::2 lladdr 52:54:00:12:34:56 nud permanent dev tap0
      ;;
  esac
  # shellcheck disable=SC2016  # For the inner shell.
  start sh -c 'exec "$@" >"$0" 2>&1' "$work/stream" \
    "$LAB/network/hs_send" --interface tap0 --to 52:54:00:12:34:56 "$@"
}

# To a receiver that has failed.
l1_stop_stream() { kill "$(tail -n 1 "$work/started")"; }

# What hs_send says when it is done.
l1_stream_sent() {
  tries=600
  until [ -s "$work/stream" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.05; done
  cat "$work/stream"
}

# ping ADDRESS COUNT: how many came back.
l1_ping() { ping -q -A -c "$2" -W 1 "$1" | sed -n 's/.* \([0-9]*\) packets received.*/\1/p'; }

# The whole command line: for what only one scenario needs.
l1_ip() { ip "$@" && ip neigh flush all; }
