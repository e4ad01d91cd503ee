# shellcheck shell=bash
# bench: ns and instructions per buffer of the rings, against the kernel's tools/virtio/ringtest
#
# Two pinned threads, a driver's side and a device's, move buffers around one ring. Ours is the
# whole engine, with guest addresses translated and everything checked; ringtest's rings are bare
# prototypes in one address space. Each program is timed from outside, as a whole process, in
# rounds in which all take turns.
# Polling: no notifications. Sleeping: both sides notify and sleep, each notification with the
#   price of a VM exit, which ringtest charges too.

ROUNDS=${RUNS:-7}
BUFFERS=10000000
SLEEP_BUFFERS=2000000
COUNTED_BUFFERS=200000
SIZES=(256 1024)
BATCHES=(1 16 64)
RINGTESTS=(ring virtio_ring_0_9 virtio_ring_inorder virtio_ring_poll)
OURS=(packed split proposal packed_in_order split_in_order)

# What ring_bench is told for each of ours.
declare -A OURS_FLAGS=(
  [packed]='--format packed'
  [split]='--format split'
  [proposal]='--format proposal'
  [packed_in_order]='--format packed --in-order --readable'
  [split_in_order]='--format split --in-order --readable'
)

RESULTS=$CACHE/bench/ring
declare -A NS # "size batch name": ns per buffer, one for each round

# Debian's linux-source has ringtest; its four rings are built beside our caches.
ensure_ringtest() {
  local archive
  install_packages linux-source gcc make xz-utils linux-libc-dev
  archive=$(find /usr/src -name 'linux-source-*.tar.xz' | sort -V | tail -n 1)
  [[ -n $archive ]] || die "package linux-source has no /usr/src/linux-source-*.tar.xz"
  RINGTEST=$CACHE/ringtest/$(basename "$archive" .tar.xz)
  if [[ ! -x $RINGTEST/virtio_ring_poll ]]; then
    step "unpacking tools/virtio/ringtest of $(basename "$archive")"
    mkdir -p "$RINGTEST"
    tar -C "$RINGTEST" --strip-components=4 -xf "$archive" \
      "$(basename "$archive" .tar.xz)/tools/virtio/ringtest"
    make -s -C "$RINGTEST" "${RINGTESTS[@]}" 2>&1 | sed 's/^/   | /'
  fi
}

ensure_ring_bench() {
  (cd "$ROOT" && bazel build --config=release //tests/bench:ring_bench) 2>&1 | sed 's/^/   | /'
  RING_BENCH=$(cd "$ROOT" && bazel info --config=release bazel-bin 2>/dev/null)/tests/bench/ring_bench
}

# command_of NAME SIZE BATCH BUFFERS [sleep]: sets COMMAND.
command_of() {
  local name=$1 size=$2 batch=$3 buffers=$4 sleep=${5:-}
  if [[ -n ${OURS_FLAGS[$name]:-} ]]; then
    # shellcheck disable=SC2206
    COMMAND=("$RING_BENCH" ${OURS_FLAGS[$name]} --size "$size" --batch "$batch"
      --buffers "$buffers" --driver-cpu "$DRIVER_CPU" --device-cpu "$DEVICE_CPU")
  else
    COMMAND=("$RINGTEST/$name" --ring-size "$size" --batch "$batch" --run-cycles "$buffers"
      --guest-affinity "$DRIVER_CPU" --host-affinity "$DEVICE_CPU")
  fi
  [[ -z $sleep ]] || COMMAND+=(--sleep)
}

# timed BUFFERS COMMAND...: ns per buffer.
timed() {
  local buffers=$1 before after
  shift
  before=$EPOCHREALTIME
  "$@" >/dev/null || die "failed: $*"
  after=$EPOCHREALTIME
  awk -v a="$after" -v b="$before" -v n="$buffers" 'BEGIN { printf "%.2f\n", (a - b) * 1e9 / n }'
}

measure_polling() {
  local round size batch name
  printf '   '
  for ((round = 0; round < ROUNDS; round++)); do
    for size in "${SIZES[@]}"; do
      for batch in "${BATCHES[@]}"; do
        for name in "${OURS[@]}" "${RINGTESTS[@]}"; do
          command_of "$name" "$size" "$batch" "$BUFFERS"
          NS["$size $batch $name"]+=" $(timed "$BUFFERS" "${COMMAND[@]}")"
        done
        printf '.'
      done
    done
  done
  printf '\n'
}

# of_cell median|minimum SIZE BATCH NAME
of_cell() {
  # shellcheck disable=SC2086
  "decimal_$1" ${NS["$2 $3 $4"]}
}

polling_table() {
  local size batch name row
  printf '\nns per buffer, polling, median (minimum) of %d runs of %d buffers\n' "$ROUNDS" "$BUFFERS"
  printf '%-20s' ring
  for size in "${SIZES[@]}"; do
    for batch in "${BATCHES[@]}"; do printf ' %15s' "$size/$batch"; done
  done
  printf '\n'
  for name in "${OURS[@]}" "${RINGTESTS[@]}"; do
    row=$(printf '%-20s' "$name")
    for size in "${SIZES[@]}"; do
      for batch in "${BATCHES[@]}"; do
        row+=$(printf ' %15s' "$(of_cell median "$size" "$batch" "$name") ($(
          of_cell minimum "$size" "$batch" "$name"))")
      done
    done
    printf '%s\n' "$row"
  done
  printf '(columns: ring size/batch; ringtest has no batches when it polls)\n'
}

# ratio_over_cells NAME PEER: the geometric mean of the medians' ratios over all sizes and batches.
ratio_over_cells() {
  local size batch
  for size in "${SIZES[@]}"; do
    for batch in "${BATCHES[@]}"; do
      printf '%s %s\n' "$(of_cell median "$size" "$batch" "$1")" \
        "$(of_cell median "$size" "$batch" "$2")"
    done
  done | awk '{ sum += log($1 / $2) } END { printf "%.3f\n", exp(sum / NR) }'
}

# value KEY TEXT: of a line of key=value.
value() { sed -n "s/.*$1=\([0-9.]*\).*/\1/p" <<<"$2"; }

# sleeping_row LABEL FLAG...: a line of what ring_bench reports, the median of its times.
sleeping_row() {
  local label=$1 round report ns=()
  shift
  for ((round = 0; round < ROUNDS; round++)); do
    report=$("$RING_BENCH" --sleep --buffers "$SLEEP_BUFFERS" --driver-cpu "$DRIVER_CPU" \
      --device-cpu "$DEVICE_CPU" "$@")
    ns+=("$(value ns_per_buffer "$report")")
  done
  printf '%-36s %10s %16s %16s\n' "$label" "$(decimal_median "${ns[@]}")" \
    "$(value kicks_per_buffer "$report")" "$(value calls_per_buffer "$report")"
}

# ringtest does not tell how often it notified.
sleeping_peer_row() {
  local round ns=()
  command_of "$1" 256 16 "$SLEEP_BUFFERS" sleep
  for ((round = 0; round < ROUNDS; round++)); do
    ns+=("$(timed "$SLEEP_BUFFERS" "${COMMAND[@]}")")
  done
  printf '%-36s %10s %16s %16s\n' "ringtest $1" "$(decimal_median "${ns[@]}")" - -
}

sleeping_table() {
  local name
  printf '\nsleeping, ring of 256, batch 16: ns and notifications per buffer, of %d buffers\n' \
    "$SLEEP_BUFFERS"
  printf '%-36s %10s %16s %16s\n' suppression ns available/buffer used/buffer
  sleeping_row 'packed, flags' --no-event-idx
  sleeping_row 'packed, event index' --callbacks next
  sleeping_row 'packed, event index and ENABLE' --callbacks every
  sleeping_row 'packed, event index, delayed' --callbacks delayed
  sleeping_row 'split, flags' --format split --no-event-idx
  sleeping_row 'split, event index' --format split --callbacks next
  sleeping_row 'split, event index, delayed' --format split --callbacks delayed
  sleeping_row 'proposal, event index' --format proposal --callbacks next
  for name in "${RINGTESTS[@]}"; do sleeping_peer_row "$name"; done
}

# instructions SIDE FLAG...: of DriverStep or DeviceStep, for each buffer.
instructions() {
  local side=$1
  shift
  valgrind --tool=callgrind --callgrind-out-file="$RESULTS/callgrind.out" \
    --toggle-collect="*${side}Step*" "$RING_BENCH" --single --buffers "$COUNTED_BUFFERS" "$@" \
    2>&1 >/dev/null | awk -v n="$COUNTED_BUFFERS" '/Collected/ { printf "%.1f\n", $NF / n }'
}

instructions_table() {
  local name batch
  printf '\ninstructions per buffer (callgrind), ring of 256: device side, driver side\n'
  printf '%-20s %18s %18s %18s\n' ring 'batch 1' 'batch 16' 'batch 64'
  for name in "${OURS[@]}"; do
    printf '%-20s' "$name"
    for batch in "${BATCHES[@]}"; do
      # shellcheck disable=SC2086
      printf ' %18s' "$(instructions Device ${OURS_FLAGS[$name]} --batch "$batch"), $(
        instructions Driver ${OURS_FLAGS[$name]} --batch "$batch")"
    done
    printf '\n'
  done
}

# ns per buffer against batch size, a panel for each ring size.
plot() {
  local size batch name ours=$((1 + ${#OURS[@]})) all=$((1 + ${#OURS[@]} + ${#RINGTESTS[@]}))
  for size in "${SIZES[@]}"; do
    {
      printf 'batch'
      printf ' %s' "${OURS[@]}" "${RINGTESTS[@]}"
      printf '\n'
      for batch in "${BATCHES[@]}"; do
        printf '%s' "$batch"
        for name in "${OURS[@]}" "${RINGTESTS[@]}"; do
          printf ' %s' "$(of_cell median "$size" "$batch" "$name")"
        done
        printf '\n'
      done
    } >"$RESULTS/size_$size.dat"
  done
  gnuplot <<END
set terminal svg size 1100,480 font 'sans-serif,13' background 'white'
set output '$RESULTS/ring.svg'
set multiplot layout 1,${#SIZES[@]}
set logscale xy 2
set xtics (${BATCHES[0]}, ${BATCHES[1]}, ${BATCHES[2]})
set xlabel 'batch (buffers)'
set ylabel 'ns per buffer (median)'
set key outside below maxrows 3 noenhanced
set grid
set xrange [0.9:72]
do for [size in '${SIZES[*]}'] {
  set title 'ring of '.size.' descriptors'
  file = '$RESULTS/size_'.size.'.dat'
  plot for [i=2:$ours] file using 1:i with linespoints linewidth 2 title columnheader(i), \
    for [i=$((ours + 1)):$all] file using 1:i with linespoints dashtype 2 title columnheader(i)
}
END
  note "plot: $RESULTS/ring.svg"
}

bench() {
  install_packages "${BUILD_PACKAGES[@]}" valgrind gnuplot-nox util-linux
  mkdir -p "$RESULTS"
  ensure_ringtest
  ensure_ring_bench
  choose_cpus
  step "polling: $ROUNDS rounds of ${#SIZES[@]} ring sizes, ${#BATCHES[@]} batches"
  measure_polling
  polling_table
  step "sleeping: all modes of suppression"
  sleeping_table
  step "counting instructions"
  instructions_table
  plot
  bench_line ring "packed_vs_ringtest=$(ratio_over_cells packed ring)" \
    "split_vs_0_9=$(ratio_over_cells split virtio_ring_0_9)" \
    "packed_vs_split=$(ratio_over_cells packed split)" \
    "instr_per_buffer=$(instructions Device --format packed --batch 64)"
}
