# shellcheck shell=bash
# bench: frames per second of DPDK's virtio-user over our vhost-user back-end, beside DPDK's net_vhost
#
# The driver is one testpmd with virtio-user, its worker pinned to one CPU; back-ends are pinned to another:
# ours, a process for each of null (takes frames), null,generate=N (makes them) and loopback (gives them
# back), and one testpmd with net_vhost (rxonly, txonly, macswap). All are connected to that one driver, each
# by a port of its own, and the driver forwards on one port at a time; the other back-ends are stopped
# (SIGSTOP) meanwhile. So a measurement differs from the next one in the back-end only.
#
# Directions are the driver's: tx, the driver sends (testpmd txonly) and the back-end takes; rx, the back-end
# makes frames, the driver counts and drops them (rxonly); echo, the back-end gives back, the driver forwards
# what it gets (mac) of what it once sent (start tx_first). What is read: the driver's own
# counters of frames, over its own clock ("show port stats", twice), after a warm-up that is not counted.
# tx counts frames that the driver has put into its ring; the ring bounds what the back-end has not yet taken.
#
# Rows: packed and split rings of 256 buffers; IN_ORDER off and on; MRG_RXBUF off and on; frames of 64 and of
# 1500 bytes; tx, rx, echo. Back-ends take turns, several times; a row's ratio is the median of the ratios
# of ours and the peer's neighbouring turns, and its spread the least and the greatest of them.
# switch: two ports of the driver send to each other through a switch of ours, or through the testpmd that
# forwards between two net_vhost ports; frames that both receive, a second.
#
# --quick: one turn, shorter, of frames of 64 bytes without MRG_RXBUF only.
# VHOST_USER_POLL (always) is our workers' poll=.

for part in processes testpmd; do
  # shellcheck source=/dev/null
  source "$ROOT/tests/peers/$part.sh"
done

VU_TURNS=${RUNS:-5}
VU_WARM_UP=0.2
VU_SECONDS=0.6
VU_POLL=${VHOST_USER_POLL:-always}
VU_FORMATS=(packed split)
VU_ORDERS=(0 1)
VU_MERGES=(0 1)
VU_BYTES=(64 1500)
VU_DIRECTIONS=(tx rx echo)
# 2 MiB each: 256 MiB for the driver, as much for net_vhost.
VU_HUGE_PAGES=512

RESULTS=$CACHE/bench/vhost-user
declare -A VU # "format order merge bytes direction who": frames per second, one for each turn
VU_ROWS=()

# Frames that go around in an echo and through a switch, in each direction: bursts of 32. They have to find
# room in a ring.
VU_CIRCLING=4

huge_pages() {
  local file=/proc/sys/vm/nr_hugepages
  read -r VU_HUGE_BEFORE <"$file"
  ((VU_HUGE_BEFORE >= VU_HUGE_PAGES)) || echo "$VU_HUGE_PAGES" >"$file"
  (($(awk '/^HugePages_Free/ { print $2 }' /proc/meminfo) >= VU_HUGE_PAGES)) ||
    die "the bench needs $VU_HUGE_PAGES free huge pages of 2 MiB; the kernel did not find them"
}

vu_clean() {
  end_processes
  [[ -z ${WORK:-} ]] || rm -rf "$WORK"
  [[ -z ${VU_HUGE_BEFORE:-} ]] || echo "$VU_HUGE_BEFORE" >/proc/sys/vm/nr_hugepages
}

# Ports of the driver, in this order.
VU_OURS=(null 'null,generate=64' 'null,generate=1500' loopback)
VU_PEER_PORT=4

# port_of BYTES DIRECTION WHO: sets VU_PORT and VU_PROCESS, the back-end's.
port_of() {
  VU_PORT=$VU_PEER_PORT VU_PROCESS=peer
  [[ $3 != peer ]] || return 0
  case $2-$1 in
    tx-*) VU_PORT=0 ;;
    rx-64) VU_PORT=1 ;;
    rx-1500) VU_PORT=2 ;;
    echo-*) VU_PORT=3 ;;
  esac
  VU_PROCESS=ours$VU_PORT
}

pause() { kill -STOP "${PID_OF[$1]}"; }
resume() { kill -CONT "${PID_OF[$1]}"; }

# start_ours NAME SOCKET BACKEND
start_ours() {
  spawn "$1" "$ANNULUS" device net --socket "$2" --backend "$3,poll=$VU_POLL,cpus=$DEVICE_CPU"
}

# start_ring FORMAT ORDER MERGE: all back-ends, and the driver connected to them.
start_ring() {
  local index devices=() ring
  ring="queues=1,queue_size=256,packed_vq=$([[ $1 == packed ]] && echo 1 || echo 0),in_order=$2,mrg_rxbuf=$3"
  for index in "${!VU_OURS[@]}"; do
    start_ours "ours$index" "$WORK/s$index" "${VU_OURS[index]}"
    devices+=("net_virtio_user$index,path=$WORK/s$index,mac=52:54:00:00:00:0$index,$ring")
  done
  open_testpmd peer "$DEVICE_CPU" "net_vhost0,iface=$WORK/s$VU_PEER_PORT,queues=1" -- \
    --total-num-mbufs=8192
  devices+=("net_virtio_user$VU_PEER_PORT,path=$WORK/s$VU_PEER_PORT,mac=52:54:00:00:00:0$VU_PEER_PORT,$ring")
  for index in "${!VU_OURS[@]}" $VU_PEER_PORT; do await 20 'a socket' test -S "$WORK/s$index"; done
  open_testpmd driver "$DRIVER_CPU" "${devices[@]}" -- --total-num-mbufs=8192
  for index in "${!VU_OURS[@]}"; do pause "ours$index"; done
  pause peer
}

# Close to what it was before: the driver takes leave of all.
stop_ring() {
  local index
  for index in "${!VU_OURS[@]}"; do resume "ours$index"; done
  resume peer
  quit_testpmd driver
  for index in "${!VU_OURS[@]}"; do stop "ours$index"; done
  quit_testpmd peer
  rm -f "$WORK"/s*
}

# What testpmd says when it has stopped forwarding.
stop_forwarding() { ask "$1" '^Done\.$' stop >/dev/null; }

# rate_of PORT rx|tx: frames per second, by the driver's counters and clock.
rate_of() {
  local answer
  ask driver '^  #{76}$' "show port stats $1" >/dev/null
  sleep "$VU_SECONDS"
  answer=$(ask driver '^  #{76}$' "show port stats $1")
  # Case apart, these are testpmd's words.
  sed -n "s/.*${2^}-pps: *\([0-9]*\).*/\1/p" <<<"$answer"
}

# turn BYTES DIRECTION WHO: one measurement; sets VU_RATE.
turn() {
  local bytes=$1 direction=$2 who=$3 counted=rx
  local -A peer_mode=([tx]=rxonly [rx]=txonly [echo]=macswap)
  local -A mode=([tx]=txonly [rx]=rxonly [echo]=mac)
  port_of "$bytes" "$direction" "$who"
  resume "$VU_PROCESS"
  if [[ $who == peer ]]; then
    say peer "set fwd ${peer_mode[$direction]}"
    say peer "set txpkts $bytes"
    say peer start
  fi
  say driver "set portlist $VU_PORT"
  say driver "set fwd ${mode[$direction]}"
  say driver "set txpkts $bytes"
  if [[ $direction == echo ]]; then
    say driver "start tx_first $VU_CIRCLING"
  else
    say driver start
  fi
  sleep "$VU_WARM_UP"
  [[ $direction != tx ]] || counted=tx
  VU_RATE=$(rate_of "$VU_PORT" $counted)
  stop_forwarding driver
  if [[ $direction == echo ]]; then
    # What still goes around would go around in the next turn, too.
    say driver 'set fwd rxonly'
    say driver start
    sleep 0.1
    stop_forwarding driver
  fi
  [[ $who != peer ]] || stop_forwarding peer
  pause "$VU_PROCESS"
}

measure_rings() {
  local format order merge bytes direction who run row
  for format in "${VU_FORMATS[@]}"; do
    for order in "${VU_ORDERS[@]}"; do
      for merge in "${VU_MERGES[@]}"; do
        start_ring "$format" "$order" "$merge"
        for bytes in "${VU_BYTES[@]}"; do
          for direction in "${VU_DIRECTIONS[@]}"; do
            row="$format $order $merge $bytes $direction"
            VU_ROWS+=("$row")
            for ((run = 0; run < VU_TURNS; run++)); do
              for who in ours peer; do
                turn "$bytes" "$direction" $who
                VU["$row $who"]+=" $VU_RATE"
              done
            done
            printf '.'
          done
        done
        stop_ring
      done
    done
  done
}

# switch_turn FORMAT BYTES WHO: a driver with two ports, and a back-end with as many, of their own.
switch_turn() {
  local format=$1 bytes=$2 who=$3 ring port index
  local macs=(52:54:00:00:00:00 52:54:00:00:00:01)
  ring="queues=1,queue_size=256,packed_vq=$([[ $format == packed ]] && echo 1 || echo 0),in_order=1,mrg_rxbuf=0"
  if [[ $who == ours ]]; then
    for index in 0 1; do
      printf 'device { socket: "%s" net { backend: SWITCH switch_name: "bench" poll: %s worker_cpus: %s } }\n' \
        "$WORK/s$index" "${VU_POLL^^}" "$DEVICE_CPU"
    done >"$WORK/devices.textproto"
    spawn switch "$ANNULUS" device --config "$WORK/devices.textproto"
  else
    open_testpmd switch "$DEVICE_CPU" "net_vhost0,iface=$WORK/s0,queues=1" "net_vhost1,iface=$WORK/s1,queues=1" -- \
      --total-num-mbufs=8192 --forward-mode=io
  fi
  await 20 'two sockets' test -S "$WORK/s0" -a -S "$WORK/s1"
  open_testpmd driver "$DRIVER_CPU" "net_virtio_user0,path=$WORK/s0,mac=${macs[0]},$ring" \
    "net_virtio_user1,path=$WORK/s1,mac=${macs[1]},$ring" -- --total-num-mbufs=8192 \
    --forward-mode=mac --eth-peer=0,"${macs[1]}" --eth-peer=1,"${macs[0]}"
  [[ $who == ours ]] || say switch start
  say driver "set txpkts $bytes"
  say driver "start tx_first $VU_CIRCLING"
  sleep "$VU_WARM_UP"
  VU_RATE=0
  for port in 0 1; do VU_RATE=$((VU_RATE + $(rate_of $port rx))); done
  stop_forwarding driver
  quit_testpmd driver
  if [[ $who == ours ]]; then stop switch; else quit_testpmd switch; fi
  rm -f "$WORK"/s0 "$WORK"/s1
}

measure_switch() {
  local format bytes who run row
  for format in "${VU_FORMATS[@]}"; do
    for bytes in "${VU_BYTES[@]}"; do
      row="$format 1 0 $bytes switch"
      VU_ROWS+=("$row")
      for ((run = 0; run < VU_TURNS; run++)); do
        for who in ours peer; do
          switch_turn "$format" "$bytes" $who
          VU["$row $who"]+=" $VU_RATE"
        done
      done
      printf '.'
    done
  done
}

# ratios ROW: of neighbouring turns.
ratios() {
  local ours peer index
  read -ra ours <<<"${VU[$1 ours]}"
  read -ra peer <<<"${VU[$1 peer]}"
  for index in "${!ours[@]}"; do ratio "${ours[index]}" "${peer[index]}"; done
}
# ratio_median ROW
# shellcheck disable=SC2046
ratio_median() { decimal_median $(ratios "$1"); }

# Millions: median (least..greatest).
vu_rates() {
  tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -n | awk '{ v[NR] = $1 / 1e6 }
    END { printf "%.2f (%.2f..%.2f)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

vu_table() {
  local row format order merge bytes direction spread
  printf '\nmillion frames/s, median (least..greatest) of %d turns; ratio: median of neighbouring turns\n' "$VU_TURNS"
  printf '%-7s %-8s %-9s %5s %-7s %24s %24s %6s %s\n' ring in_order mrg_rxbuf bytes '' annulus 'DPDK net_vhost' ratio \
    '(least..greatest)'
  for row in "${VU_ROWS[@]}"; do
    read -r format order merge bytes direction <<<"$row"
    mapfile -t spread < <(ratios "$row" | sort -g)
    printf '%-7s %-8s %-9s %5s %-7s %24s %24s %6s (%s..%s)\n' "$format" "$order" "$merge" "$bytes" "$direction" \
      "$(vu_rates "${VU[$row ours]}")" "$(vu_rates "${VU[$row peer]}")" "$(ratio_median "$row")" \
      "${spread[0]}" "${spread[-1]}"
  done
  printf '\n'
}

# least_ratio PATTERN: of the rows that match.
least_ratio() {
  local row all=()
  for row in "${VU_ROWS[@]}"; do
    # shellcheck disable=SC2053  # A pattern.
    [[ $row != $1 ]] || all+=("$(ratio_median "$row")")
  done
  decimal_minimum "${all[@]}"
}

# Rates of 64 bytes, a panel for each direction, and beside them the ratios of all rows.
plot() {
  local row direction name
  for direction in "${VU_DIRECTIONS[@]}" switch; do
    for row in "${VU_ROWS[@]}"; do
      [[ $row == *" 64 $direction" ]] || continue
      read -r name order merge _ <<<"$row"
      ((order == 0)) || name+='\nin order'
      ((merge == 0)) || name+='\nmerged'
      # shellcheck disable=SC2086
      printf '"%s" %s %s\n' "$name" "$(decimal_median ${VU[$row ours]})" "$(decimal_median ${VU[$row peer]})"
    done >"$RESULTS/$direction.dat"
  done
  {
    cat <<END
set terminal svg size 1200,700 font 'sans-serif,12' background 'white'
set output '$RESULTS/vhost-user.svg'
set multiplot layout 2,2
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.7
set yrange [0:*]
set ylabel 'million frames/s (median)'
set grid y
set key top left
END
    for direction in "${VU_DIRECTIONS[@]}" switch; do
      cat <<END
set title '$direction, frames of 64 bytes'
plot '$RESULTS/$direction.dat' using (\$2/1e6):xtic(1) title 'annulus' linecolor '#0066cc', \
  '' using (\$3/1e6) title 'DPDK net\_vhost' linecolor '#999999'
END
    done
  } | gnuplot
  note "plot: $RESULTS/vhost-user.svg"
}

bench() {
  ((EUID == 0)) || die "run this as root: it needs huge pages"
  install_packages "${PEER_PACKAGES[@]}" gnuplot-nox
  if [[ ${QUICK:-} ]]; then
    VU_TURNS=${RUNS:-1} VU_SECONDS=0.3 VU_MERGES=(0) VU_BYTES=(64)
  fi
  ensure_annulus
  choose_cpus
  mkdir -p "$RESULTS"
  LOGS=$RESULTS/logs
  rm -rf "$LOGS"
  mkdir -p "$LOGS"
  WORK=$(mktemp -d /tmp/annulus-bench.XXXXXX)
  trap vu_clean EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Before our own clean-up the kernel takes back nothing.
  TESTPMD_MEMORY='--in-memory --single-file-segments -m 256'
  huge_pages
  step "rings: $VU_TURNS turns of each"
  printf '   '
  measure_rings
  printf '\n'
  step 'switch'
  printf '   '
  measure_switch
  printf '\n'
  vu_table | tee "$RESULTS/table.txt"
  plot
  bench_line vhost-user "worst_ratio=$(least_ratio '*')" \
    "packed_tx_ratio=$(least_ratio 'packed * tx')" "packed_rx_ratio=$(least_ratio 'packed * rx')" \
    "split_tx_ratio=$(least_ratio 'split * tx')" "split_rx_ratio=$(least_ratio 'split * rx')" \
    "switch_ratio=$(least_ratio '* switch')"
}
