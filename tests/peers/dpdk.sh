# shellcheck shell=bash
# Cases in which DPDK's virtio-user is the driver. Needs back_ends.sh, and what that needs.

# A case is named by its ring and what happens: dpdk-packed-inorder-mrg-256-4-echo is a packed ring of
# 256 with VIRTIO_F_IN_ORDER and VIRTIO_NET_F_MRG_RXBUF and four pairs of queues.
#   rx    the back-end makes frames of 64 bytes, the driver counts them
#   tx    the driver makes frames, the back-end takes them
#   echo  every frame comes back, is the one that was sent, and in order
dpdk_matrix() {
  local format order mrg size pairs what
  for format in packed split; do
    for order in '' -inorder; do
      for mrg in '' -mrg -vector; do
        # Driver and vectors: packed needs in order, split must not have it.
        [[ $mrg != -vector || $format$order == packed-inorder || $format$order == split ]] || continue
        for size in 256 1024; do
          for pairs in 1 4; do
            for what in rx tx echo; do
              echo "dpdk-$format$order$mrg-$size-$pairs-$what"
            done
          done
        done
      done
    done
  done
}

# Of these, those that a short run takes: each value of each dimension, and what is likely to break.
DPDK_SHORT=(
  dpdk-packed-256-1-rx dpdk-packed-mrg-1024-4-tx dpdk-packed-mrg-256-1-echo
  dpdk-packed-inorder-256-4-rx dpdk-packed-inorder-mrg-1024-1-echo dpdk-packed-inorder-vector-256-1-rx
  dpdk-packed-inorder-vector-1024-1-echo
  dpdk-split-256-1-tx dpdk-split-mrg-256-4-echo dpdk-split-inorder-mrg-1024-1-rx
  dpdk-split-inorder-256-1-echo dpdk-split-vector-1024-1-echo
)

# Frames in each direction before a case has seen enough; a ring of 1024 goes around 200 times.
DPDK_FRAMES=200000
# Frames of an echo, for each pair, all of different bytes, and the length of the longest. A loopback has
# room for 1 MiB of frames and drops others: all of these at once find room there, however long its threads
# wait for a CPU. Small ones go around the rings several times.
DPDK_ECHOES=('6000 120' '640 1514')

# ring_options NAME: sets RING, SIZE, PAIRS, WHAT and TESTPMD_EAL of a case of the matrix.
ring_options() {
  local word
  RING='packed_vq=0' order=0 mrg=0 vector=0 TESTPMD_EAL='--log-level=pmd.net.virtio.init:info'
  for word in ${1//-/ }; do
    case $word in
      packed) RING='packed_vq=1' ;;
      inorder) order=1 ;;
      mrg) mrg=1 ;;
      vector) vector=1 TESTPMD_EAL+=' --force-max-simd-bitwidth=512' ;;
      256 | 1024) SIZE=$word ;;
      1 | 4) PAIRS=$word ;;
      rx | tx | echo) WHAT=$word ;;
    esac
  done
  RING+=",in_order=$order,mrg_rxbuf=$mrg,queue_size=$SIZE"
  ((vector == 0)) || RING+=',vectorized=1'
}

# open_driver SOCKET MODE [DEVICE...] [-- OPTION...]: a testpmd named driver, whose virtio port is the
# last.
open_driver() {
  local socket=$1 mode=$2
  shift 2
  local devices=()
  while (($#)) && [[ $1 != -- ]]; do
    devices+=("$1")
    shift
  done
  open_testpmd driver "$DRIVER_CPU" "${devices[@]}" \
    "net_virtio_user0,path=$socket,mac=52:54:00:12:34:56,queues=$PAIRS,$RING${DRIVER_ROLE:-}" -- \
    --forward-mode="$mode" --total-num-mbufs=24576 --rxq="$PAIRS" --txq="$PAIRS" "${@:2}"
}

# check_vectors NAME: that the driver's vectors are in use where they are asked for.
check_vectors() {
  [[ $RING == *vectorized=1* ]] || return 0
  if [[ $RING == packed_vq=1* ]] && ! grep -q avx512f /proc/cpuinfo; then
    printf 'this CPU has no AVX-512: the packed ring goes without vectors\n'
  else
    grep -qaE 'vectorized Rx path' "$LOGS/driver.log" || fail 'the driver uses no vectors'
  fi
}

# dpdk_case NAME: of the matrix.
dpdk_case() {
  local PAIRS SIZE WHAT RING order mrg vector TESTPMD_EAL
  ring_options "$1"
  case $WHAT in
    rx) one_way rxonly 'null,generate=64' RX-packets ;;
    tx) one_way txonly null TX-packets ;;
    echo) echo_case ;;
  esac
}

# one_way MODE DOES COUNTER
one_way() {
  open_back_end back_end "$WORK/s" "$2" "$PAIRS"
  open_driver "$WORK/s" "$1"
  check_vectors
  say driver start
  await_counter driver 0 "$3" "$DPDK_FRAMES"
  [[ $(port_counter driver 0 RX-errors) == 0 ]] || fail 'the driver counts frames with errors'
  quit_testpmd driver
  # A second driver finds everything as the first did.
  open_driver "$WORK/s" "$1"
  say driver start
  await_counter driver 0 "$3" 1000
  quit_testpmd driver
  close_back_end back_end
}

# pcap_device PAIRS: sets PCAP, a port that has WORK/in.N received and writes to WORK/out.N.
pcap_device() {
  local pair
  PCAP=net_pcap0
  for ((pair = 0; pair < $1; pair++)); do
    PCAP+=",rx_pcap=$WORK/in.$pair,tx_pcap=$WORK/out.$pair"
  done
}

# echo_frames FRAMES MOST: so many of at most that length through the driver and back. The driver waits
# where a ring is full; none may be lost.
echo_frames() {
  local frames=$1 most=$2 pair
  for ((pair = 0; pair < PAIRS; pair++)); do
    frames make "$WORK/in.$pair" --frames "$frames" --first $((pair * frames)) --most "$most" >/dev/null
  done
  pcap_device "$PAIRS"
  open_driver "$WORK/s" io "$PCAP"
  check_vectors
  say driver 'set fwd io retry'
  say driver 'set burst tx delay 10 retry 2000000'
  say driver start
  if [[ $BACK_END == annulus ]]; then
    await_counter driver 0 TX-packets $((PAIRS * frames))
  else
    # net_vhost drops what finds no room.
    await_counter driver 1 TX-packets $((PAIRS * frames))
  fi
  quit_testpmd driver
  for ((pair = 0; pair < PAIRS; pair++)); do
    if [[ $BACK_END == annulus ]]; then
      frames check "$WORK/out.$pair" --frames "$frames" --first $((pair * frames)) --most "$most"
    else
      frames watch "$WORK/out.$pair" --most "$most"
    fi || fail "what came back on pair $pair is not what was sent"
  done
}
frames() { /usr/bin/python3 "$ROOT/tests/peers/frames.py" "$@"; }

echo_all() {
  local echoes
  for echoes in "${DPDK_ECHOES[@]}"; do
    # shellcheck disable=SC2086  # Words.
    echo_frames $echoes
  done
}

echo_case() {
  open_back_end back_end "$WORK/s" loopback "$PAIRS"
  echo_all
  close_back_end back_end
}

# --- Cases by name ---

# Frames that take several buffers, and chains of several, in the ring and in indirect tables.
jumbo() {
  local PAIRS=1 RING="packed_vq=$1,in_order=$2,mrg_rxbuf=1,queue_size=256" TESTPMD_EAL='' option
  for option in '' ,indirect_desc=off; do
    [[ $BACK_END == annulus || -z $option ]] || continue  # DPDK's does both at once.
    open_back_end back_end "$WORK/s" "loopback$option"
    # So few at once that all of them find room in the driver's ring, five buffers each.
    for _ in 1 2 3; do
      echo_frames 48 9000
    done
    close_back_end back_end
  done
}
case_dpdk-jumbo-packed() { jumbo 1 0; }
case_dpdk-jumbo-packed-inorder() { jumbo 1 1; }
case_dpdk-jumbo-split() { jumbo 0 0; }

# What the generator makes, byte by byte.
generated() {
  local PAIRS=1 RING="packed_vq=$1,in_order=0,mrg_rxbuf=1,queue_size=256" TESTPMD_EAL=
  local does=null,generate=64
  open_back_end back_end "$WORK/s" "$does"
  open_driver "$WORK/s" io "net_pcap0,tx_pcap=$WORK/out.0"
  say driver start
  await_counter driver 0 TX-packets 10000
  quit_testpmd driver
  close_back_end back_end
  frames generated "$WORK/out.0" --bytes 64 || fail 'the generator makes something else'
}
case_dpdk-generated-packed() { generated 1; }
case_dpdk-generated-split() { generated 0; }

# The driver is killed while both sides are busy, three times; the next one has everything echoed.
driver_restart() {
  local PAIRS=1 RING="packed_vq=$1,in_order=0,mrg_rxbuf=1,queue_size=256" TESTPMD_EAL=
  open_back_end back_end "$WORK/s" loopback
  for _ in 1 2 3; do
    open_driver "$WORK/s" txonly
    # Nobody takes what comes back.
    say driver start
    await_counter driver 0 TX-packets 100000
    kill_at_once driver
    running back_end || fail 'the back-end ended with its driver'
  done
  # What the last one sent is still on its way back.
  open_driver "$WORK/s" rxonly
  say driver start
  await 60 'the last frame of the driver that was killed' rx_at_rest
  quit_testpmd driver
  echo_all
  close_back_end back_end
}
rx_at_rest() {
  local before
  before=$(port_counter driver 0 RX-packets)
  sleep 0.3
  [[ $(port_counter driver 0 RX-packets) == "$before" ]]
}
case_dpdk-driver-restart-packed() { driver_restart 1; }
case_dpdk-driver-restart-split() { driver_restart 0; }

# watched_frames: how many frames frames.py has seen, to the next lower thousand.
watched_frames() { awk 'END { print $1 + 0 }' "$LOGS/watch.log"; }
watched_more() { running watch || fail "$(tail -n 1 "$LOGS/watch.log")" && (($(watched_frames) > $1)); }

# The back-end is killed while frames go around, three times; the driver, which listens here, gets
# another. What is under way then may be lost, but no frame is damaged or comes twice.
back_end_restart() {
  local PAIRS=1 RING="packed_vq=$1,in_order=0,mrg_rxbuf=1,queue_size=256" TESTPMD_EAL='' seen from
  local DRIVER_ROLE=,server=1 most=300
  frames make "$WORK/in.0" --frames 1000000 --most $most >/dev/null
  mkfifo "$WORK/out.0"
  spawn watch /usr/bin/python3 "$ROOT/tests/peers/frames.py" watch "$WORK/out.0" --most $most
  pcap_device 1
  # It waits for a back-end before it takes commands.
  testpmd_command "$DRIVER_CPU" "$PCAP" \
    "net_virtio_user0,path=$WORK/s,mac=52:54:00:12:34:56,queues=1,$RING,server=1" -- \
    --forward-mode=io --total-num-mbufs=24576
  spawn_commanded driver "${TESTPMD[@]}"
  await 20 'the socket of the driver' test -S "$WORK/s"
  open_back_end back_end "$WORK/s" loopback 1 connect
  await_log driver '^testpmd> '
  # The driver keeps what it has while nobody takes it.
  say driver 'set fwd io retry'
  say driver 'set burst tx delay 10 retry 2000000'
  say driver start
  for _ in 1 2 3; do
    seen=$(watched_frames)
    await 60 'frames that come back' watched_more $((seen + 10000))
    from=$(log_size driver)
    kill_at_once back_end
    open_back_end back_end "$WORK/s" loopback 1 connect
    await_log driver 'reconnection succeeds' "$from"
  done
  seen=$(watched_frames)
  await 60 'frames that come back at last' watched_more $((seen + 10000))
  quit_testpmd driver
  await_end watch 30
  tail -n 1 "$LOGS/watch.log"
  close_back_end back_end
}
case_dpdk-back-end-restart-packed() { back_end_restart 1; }
case_dpdk-back-end-restart-split() { back_end_restart 0; }

# Frames of one driver to another through a switch of ours.
case_dpdk-switch() {
  local PAIRS=1 SIZE=256 RING='packed_vq=1,in_order=0,mrg_rxbuf=1,queue_size=256' TESTPMD_EAL=
  [[ $BACK_END == annulus ]] || fail 'only Annulus has a switch'
  switch_config "$WORK/devices.textproto" "$WORK/s0" "$WORK/s1"
  spawn back_end "$ANNULUS" device --config "$WORK/devices.textproto"
  await 20 'sockets' test -S "$WORK/s0" -a -S "$WORK/s1"
  frames make "$WORK/in.0" --frames 6000 >/dev/null
  pcap_device 1
  frames make "$WORK/empty" --frames 0 >/dev/null
  # One process with both: port 0 is a capture that port 1 sends; port 3 writes what port 2 receives.
  open_testpmd driver "$DRIVER_CPU" "net_pcap0,rx_pcap=$WORK/in.0,tx_pcap=$WORK/none" \
    "net_virtio_user0,path=$WORK/s0,mac=02:00:00:00:00:aa,queues=1,$RING" \
    "net_virtio_user1,path=$WORK/s1,mac=52:54:00:12:34:56,queues=1,$RING" \
    "net_pcap1,rx_pcap=$WORK/empty,tx_pcap=$WORK/out.0" -- \
    --forward-mode=io --total-num-mbufs=24576
  say driver 'set fwd io retry'
  say driver 'set burst tx delay 10 retry 2000000'
  say driver start
  # A port has room for so many frames; the switch drops what a receiver does not take in time.
  await_counter driver 1 TX-packets 6000
  await_counter driver 3 TX-packets 1000
  quit_testpmd driver
  frames watch "$WORK/out.0" --straight || fail 'the switch gave something else'
  stop back_end
}

# switch_config FILE SOCKET...: a port of one switch for each.
switch_config() {
  local file=$1 socket
  shift
  for socket in "$@"; do
    printf 'device { socket: "%s" net { backend: SWITCH switch_name: "lan" } }\n' "$socket"
  done >"$file"
}

# --- Annulus as the front-end: a card of a VM, served by DPDK's net_vhost ---

# net_vhost_card RING listen|connect: a guest of ours has every frame back from testpmd, which swaps the
# addresses. The second word is what net_vhost does.
net_vhost_card() {
  local BACK_END=dpdk card="vhost-user=$WORK/s"
  [[ $2 == listen ]] || card+=,listen
  if [[ $2 == listen ]]; then open_back_end back_end "$WORK/s" loopback; fi
  spawn vm "$ANNULUS" run --kernel "$MICROGUEST" --memory 64M --net "$card,mtu=1500" \
    --cmdline "program=net_echo pci=1 ring=$1 rounds=500"
  if [[ $2 == connect ]]; then
    await_log vm 'net0: waits for its back-end'
    open_back_end back_end "$WORK/s" loopback 1 connect
  fi
  await_end vm 60
  grep -qa 'echoed 500 on 1' "$LOGS/vm.log" || fail 'the guest did not have all frames back'
  close_back_end back_end
}
case_annulus-net-vhost-packed() { net_vhost_card packed listen; }
case_annulus-net-vhost-split() { net_vhost_card split listen; }
case_annulus-net-vhost-connects() { net_vhost_card split connect; }
