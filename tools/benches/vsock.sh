# shellcheck shell=bash
# bench: sockets both ways beside a socket pair and QEMU with vhost-vsock; memory of a connection
#
# In process: tests/bench:vsock_bench, the socket device without a VM: its workers and the unix
#   backend, a program of the host, and the driver side of the rings on a thread that plays a guest's
#   kernel and program. All threads sleep when there is nothing to do. In rounds in which all
#   measurements take turns, beside programs that a socketpair(2) connects.
# Guests: tools/lib/vsock_guests.sh, beside vhost-vsock in the same L1.
# VSOCK_MILLISECONDS (1000) says how long each measurement takes.

# shellcheck source=tools/lib/vsock_guests.sh
source "$ROOT/tools/lib/vsock_guests.sh"

VSOCK_RUNS=${RUNS:-5}
VSOCK_MILLISECONDS=${VSOCK_MILLISECONDS:-1000}

# What is measured, and what vsock_bench is told for it. Of streams: "who rings buffers connections
# bytes direction"; buffers of 3776 bytes are those of Linux, "m" stands for MRG_RXBUF.
declare -A VSOCK_CELLS
VSOCK_ORDER=()
vsock_cell() { # NAME FLAG...
  VSOCK_ORDER+=("$1")
  VSOCK_CELLS["$1"]="${*:2}"
}
vsock_cells() {
  local format buffers bytes direction connections flags
  for direction in h2g g2h; do
    for bytes in 65536 128; do
      for connections in 1 1000; do
        [[ $direction == g2h ]] || vsock_cell "pair - - $connections $bytes $direction" \
          --path socketpair --mode h2g --bytes $bytes --connections $connections
        for format in packed split; do
          for buffers in 3776 3776m 65536 65536m; do
            # With 1000 connections, and for what the guest sends, buffers are of less interest.
            [[ $connections == 1 && $direction == h2g || $buffers == 3776 || $buffers == 3776m ]] || continue
            [[ $connections == 1 || $format == packed ]] || continue
            flags="--mode $direction --format $format --rx-buffer ${buffers%m}"
            [[ $buffers != *m ]] || flags+=' --mergeable'
            # shellcheck disable=SC2086
            vsock_cell "device $format $buffers $connections $bytes $direction" $flags \
              --bytes $bytes --connections $connections
          done
        done
      done
    done
  done
  vsock_cell 'pair - - 1 1 rtt' --path socketpair --mode rtt
  for format in packed split; do
    vsock_cell "device $format 3776 1 1 rtt" --mode rtt --format $format
  done
  vsock_cell 'device packed 3776 1000 - idle' --mode idle --connections 1000
  vsock_cell 'device packed 3776 4000 - idle' --mode idle --connections 4000
}

RESULTS=$CACHE/bench/vsock
declare -A VSOCK # "cell field": values, one for each run

ensure_vsock_bench() {
  (cd "$ROOT" && bazel build --config=release //tests/bench:vsock_bench) 2>&1 | sed 's/^/   | /'
  VSOCK_BENCH=$(cd "$ROOT" && bazel info --config=release bazel-bin 2>/dev/null)/tests/bench/vsock_bench
}

measure_in_process() {
  local run cell line word command
  : >"$RESULTS/runs.txt"
  printf '   '
  for ((run = 0; run < VSOCK_RUNS; run++)); do
    for cell in "${VSOCK_ORDER[@]}"; do
      # shellcheck disable=SC2206
      command=("$VSOCK_BENCH" ${VSOCK_CELLS[$cell]} --milliseconds "$VSOCK_MILLISECONDS")
      line=$("${command[@]}") || die "failed: ${command[*]}"
      printf '%s\n' "$line" >>"$RESULTS/runs.txt"
      for word in $line; do
        [[ $word != *=* ]] || VSOCK["$cell ${word%%=*}"]+=" ${word#*=}"
      done
    done
    printf '.'
  done
  printf '\n'
}

# vsock_median CELL FIELD; vsock_minimum, vsock_maximum: likewise.
vsock_median() {
  # shellcheck disable=SC2086
  decimal_median ${VSOCK[$*]}
}
vsock_minimum() {
  # shellcheck disable=SC2086
  decimal_minimum ${VSOCK[$*]}
}
vsock_maximum() { tr ' ' '\n' <<<"${VSOCK[$*]}" | sort -g | tail -n 1; }

# paired CELL CELL: the median of the ratios of the two in each run, of GiB/s.
paired() {
  local a b i ratios=()
  read -ra a <<<"${VSOCK[$1 gib_per_s]}"
  read -ra b <<<"${VSOCK[$2 gib_per_s]}"
  for i in "${!a[@]}"; do ratios+=("$(ratio "${a[i]}" "${b[i]}")"); done
  decimal_median "${ratios[@]}"
}

buffers_name() { printf '%s%s' "${1%m}" "$([[ $1 == *m ]] && printf ' merged')"; }

streams_table() {
  local cell path format buffers connections bytes direction limit
  printf '\nGiB/s: median (minimum..maximum) of %d runs; beside a socket pair with the same writes\n' "$VSOCK_RUNS"
  printf 'busy: of each thread (rx and tx workers, guest, program of the host), of 1 s how long it ran\n'
  printf '%-7s %-8s %-13s %11s %7s  %22s %11s %10s %7s  %s\n' '' rings 'rx buffers' connections bytes \
    'GiB/s' 'writes/s' 'CPU s/GiB' 'x pair' 'busy rx/tx/guest/program'
  for cell in "${VSOCK_ORDER[@]}"; do
    read -r path format buffers connections bytes direction <<<"$cell"
    [[ $direction == h2g || $direction == g2h ]] || continue
    limit=$(paired "$cell" "pair - - $connections $bytes h2g")
    [[ $path != pair ]] || direction=pair
    printf '%-7s %-8s %-13s %11s %7s  %22s %11s %10s %7s  %s/%s/%s/%s\n' "$direction" "$format" "$(buffers_name "$buffers")" \
      "$connections" "$bytes" \
      "$(vsock_median "$cell" gib_per_s) ($(vsock_minimum "$cell" gib_per_s)..$(vsock_maximum "$cell" gib_per_s))" \
      "$(vsock_median "$cell" writes_per_s)" "$(vsock_median "$cell" cpu_s_per_gib)" "$limit" \
      "$(vsock_median "$cell" rx_busy)" "$(vsock_median "$cell" tx_busy)" "$(vsock_median "$cell" guest_busy)" \
      "$(vsock_median "$cell" program_busy)"
  done
}

latency_table() {
  local cell path format rest
  printf '\none byte there and back, us: medians (minima) of %d runs\n%-16s %18s %18s\n' "$VSOCK_RUNS" '' p50 p99
  for cell in "${VSOCK_ORDER[@]}"; do
    [[ $cell == *rtt ]] || continue
    read -r path format rest <<<"$cell"
    printf '%-16s %18s %18s\n' "$path $format" \
      "$(vsock_median "$cell" p50_us) ($(vsock_minimum "$cell" p50_us))" \
      "$(vsock_median "$cell" p99_us) ($(vsock_minimum "$cell" p99_us))"
  done
}

memory_table() {
  local cell path format buffers connections rest
  printf '\nKiB of this process for each connection (without the kernel'\''s memory for its socket): median\n'
  printf '%-16s %18s %18s\n' connections 'never used' 'used once'
  for cell in "${VSOCK_ORDER[@]}"; do
    [[ $cell == *idle ]] || continue
    read -r path format buffers connections rest <<<"$cell"
    printf '%-16s %18s %18s\n' "$connections" "$(vsock_median "$cell" idle_kib)" "$(vsock_median "$cell" used_kib)"
  done
  printf '\n'
}

plot_streams() {
  local bytes cell path format buffers connections size direction
  for bytes in 65536 128; do
    for cell in "${VSOCK_ORDER[@]}"; do
      read -r path format buffers connections size direction <<<"$cell"
      [[ $size == "$bytes" ]] || continue
      [[ $format != split ]] || continue
      [[ $path != pair ]] || direction=pair
      printf '"%s %s x%s" %s %s %s\n' "$direction" "$(buffers_name "$buffers")" "$connections" \
        "$(vsock_median "$cell" gib_per_s)" "$(vsock_minimum "$cell" gib_per_s)" "$(vsock_maximum "$cell" gib_per_s)"
    done >"$RESULTS/writes_$bytes.dat"
  done
  gnuplot <<END
set terminal svg size 1200,560 font 'sans-serif,13' background 'white'
set output '$RESULTS/vsock.svg'
set multiplot layout 1,2
set rmargin 10
set style fill solid 0.7
set yrange [0:*]
set ylabel 'GiB/s (median, minimum and maximum)'
set xtics rotate by -45 noenhanced
set grid y
unset key
do for [bytes in '65536 128'] {
  set title 'writes of '.bytes.' bytes, packed rings'
  plot '$RESULTS/writes_'.bytes.'.dat' using 0:2:3:4:(0.6):xtic(1) with boxerrorbars linecolor '#0066cc'
}
END
  note "plot: $RESULTS/vsock.svg"
}

# scale: throughput of 1000 connections over that of one, the mean of both directions.
scale() {
  awk -v a="$(paired 'device packed 3776 1000 65536 h2g' 'device packed 3776 1 65536 h2g')" \
    -v b="$(paired 'device packed 3776 1000 65536 g2h' 'device packed 3776 1 65536 g2h')" \
    'BEGIN { printf "%.2f\n", (a + b) / 2 }'
}

bench() {
  install_packages gnuplot-nox
  mkdir -p "$RESULTS"
  ensure_vsock_bench
  vsock_cells
  step "in process: $VSOCK_RUNS runs of ${#VSOCK_ORDER[@]} measurements, all in turn"
  measure_in_process
  streams_table
  latency_table
  memory_table
  plot_streams
  measure_vsock_guests
  bench_line vsock \
    "h2g_over_g2h=$(paired 'device packed 3776 1 65536 h2g' 'device packed 3776 1 65536 g2h')" \
    "vs_vhost=$VSOCK_VS_VHOST" \
    "mrg_gain=$(paired 'device packed 3776m 1 65536 h2g' 'device packed 3776 1 65536 h2g')" \
    "idle_conn_kib=$(vsock_median 'device packed 3776 1000 - idle' used_kib)" \
    "scale_1000=$(scale)"
}
