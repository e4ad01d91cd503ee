# shellcheck shell=bash
# bench: TCP, packets, latency and their cost beside QEMU and vhost-net; frames per second in process
#
# Guests: the same kernel, initrd and L1, one queue pair, virtio-pci, one vCPU, alternately under
#   Annulus, QEMU microvm with its own card (packed too) and QEMU microvm with vhost_net (which has
#   split rings only). iperf3 for TCP; pktgen for packets of 64 bytes, counted by the end that
#   receives them; iperf3 also for UDP as a program sees it; ping.
#   CPU is that of the VMM and its vhost thread, without what the guest itself ran.
# In process: tests/bench:net_bench, the device without a VM.

NET_RUNS=${RUNS:-5}
NET_KINDS=(annulus qemu qemu_vhost)
declare -A KIND_NAME=([annulus]=annulus [qemu]='QEMU' [qemu_vhost]='QEMU vhost')
# Metrics of tests/lab/scenarios/bench_net.sh, and what they are.
NET_METRICS=(
  'tcp_sent_mbps|TCP guest to host, Mbit/s'
  'tcp_received_mbps|TCP host to guest, Mbit/s'
  'udp_sent_pps|64-byte packets/s guest to host'
  'udp_received_pps|64-byte packets/s host to guest'
  'iperf3_udp_sent_pps|the same by iperf3, guest to host'
  'iperf3_udp_received_pps|the same by iperf3, host to guest'
  'ping_median_us|ping, median us'
  'ping_min_us|ping, least us'
  'udp_sent_exits_per_packet|exits/packet guest to host'
  'udp_received_exits_per_packet|exits/packet host to guest'
  'udp_sent_interrupts_per_packet|interrupts/packet guest to host'
  'udp_received_interrupts_per_packet|interrupts/packet host to guest'
  'tcp_sent_exits_per_mb|TCP guest to host, exits/MB'
  'tcp_received_exits_per_mb|TCP host to guest, exits/MB'
  'tcp_sent_interrupts_per_mb|TCP guest to host, interrupts/MB'
  'tcp_received_interrupts_per_mb|TCP host to guest, interrupts/MB'
  'tcp_sent_cpu_s_per_gb|TCP guest to host, VMM CPU s/GB'
  'tcp_received_cpu_s_per_gb|TCP host to guest, VMM CPU s/GB'
  'udp_sent_cpu_us_per_packet|guest to host, VMM CPU us/packet'
  'udp_received_cpu_us_per_packet|host to guest, VMM CPU us/packet'
)
NET_BATCHES=(1 16 64)
# Of each cell: by what they cost.
declare -A NET_FRAMES=([null]=3000000 [loopback]=500000)

RESULTS=$CACHE/bench/net
declare -A VALUES # "kind metric": values, one for each run
declare -A RATES  # "format direction backend bytes batch": frames per second, one for each run

# Dead guests are named: in the lab some die in any VMM.
measure_guests() {
  local run kind tag jobs=() name value word
  for ((run = 0; run < NET_RUNS; run++)); do
    for kind in "${NET_KINDS[@]}"; do jobs+=("$kind-$run bench_net $kind"); done
  done
  printf '   '
  lab_run_jobs "${jobs[@]}"
  printf '\n'
  for ((run = 0; run < NET_RUNS; run++)); do
    for kind in "${NET_KINDS[@]}"; do
      tag=$kind-$run
      value=$(lab_verdict "$tag" bench_net "$kind")
      if [[ $value != PASS ]]; then
        note "$tag is left out: ${value#FAIL } ($LOGS/$tag.log)"
        continue
      fi
      # A comparison of packed rings, that of vhost apart.
      if [[ $kind != qemu_vhost ]]; then
        grep -q '^lab: metric packed 1' "$LOGS/$tag.log" || die "$tag had no packed rings: $LOGS"
      fi
      while read -r _ word name value; do
        [[ $word == metric ]] || continue
        VALUES["$kind $name"]+=" $value"
      done < <(tr -d '\r' <"$LOGS/$tag.log" | grep '^lab: metric ')
    done
  done
  for kind in "${NET_KINDS[@]}"; do
    [[ -n ${VALUES[$kind tcp_sent_mbps]:-} ]] || die "no guest under $kind came to its end: $LOGS"
  done
}

# of_kind median|minimum|maximum KIND METRIC
of_kind() {
  # shellcheck disable=SC2086
  "decimal_$1" ${VALUES[$2 $3]}
}

decimal_maximum() { printf '%s\n' "$@" | sort -g | tail -n 1; }

# runs_of KIND: how many came to their end.
runs_of() { wc -w <<<"${VALUES[$1 tcp_sent_mbps]}"; }

guests_table() {
  local entry metric kind
  printf '\nmedian (minimum..maximum) of'
  for kind in "${NET_KINDS[@]}"; do printf ' %s' "$(runs_of "$kind")"; done
  printf ' runs, %s\n%-38s' \
    "$([[ $(lab_where) == direct ]] && echo 'on this host' || echo 'in the lab, emulated')" ''
  for kind in "${NET_KINDS[@]}"; do printf ' %26s' "${KIND_NAME[$kind]}"; done
  printf '\n'
  for entry in "${NET_METRICS[@]}"; do
    metric=${entry%%|*}
    printf '%-38s' "${entry#*|}"
    for kind in "${NET_KINDS[@]}"; do
      printf ' %26s' "$(of_kind median "$kind" "$metric") ($(of_kind minimum "$kind" "$metric")..$(
        of_kind maximum "$kind" "$metric"))"
    done
    printf '\n'
  done
  printf '\n'
}

# mean_ratio KIND PEER METRIC...: the geometric mean of the medians' ratios.
mean_ratio() {
  local kind=$1 peer=$2 metric
  shift 2
  for metric in "$@"; do
    printf '%s %s\n' "$(of_kind median "$kind" "$metric")" "$(of_kind median "$peer" "$metric")"
  done | awk '$1 > 0 && $2 > 0 { sum += log($1 / $2); n++ } END { printf "%.2f\n", n ? exp(sum / n) : 0 }'
}

# panel METRIC FILE: a line for each kind: median, minimum, maximum.
panel() {
  local kind
  for kind in "${NET_KINDS[@]}"; do
    printf '"%s" %s %s %s\n' "${KIND_NAME[$kind]}" "$(of_kind median "$kind" "$1")" \
      "$(of_kind minimum "$kind" "$1")" "$(of_kind maximum "$kind" "$1")"
  done >"$2"
}

PANELS=(tcp_sent_mbps tcp_received_mbps ping_median_us udp_sent_pps udp_received_pps tcp_sent_cpu_s_per_gb)

plot_guests() {
  local metric entry titles=()
  for metric in "${PANELS[@]}"; do
    panel "$metric" "$RESULTS/$metric.dat"
    for entry in "${NET_METRICS[@]}"; do
      [[ ${entry%%|*} != "$metric" ]] || titles+=("'${entry#*|}'")
    done
  done
  {
    cat <<'GNUPLOT'
set terminal svg size 1100,640 font 'sans-serif,13' background 'white'
GNUPLOT
    printf "set output '%s/net.svg'\n" "$RESULTS"
    cat <<'GNUPLOT'
set multiplot layout 2,3
set style fill solid 0.7
set yrange [0:*]
set xrange [-0.6:2.6]
set grid y
unset key
GNUPLOT
    for metric in "${!PANELS[@]}"; do
      printf 'set title %s\n' "${titles[$metric]}"
      printf "plot '%s' using 0:2:3:4:(0.6):xtic(1) with boxerrorbars linecolor '#0066cc'\n" \
        "$RESULTS/${PANELS[$metric]}.dat"
    done
  } | gnuplot
  note "plot: $RESULTS/net.svg"
}

ensure_net_bench() {
  (cd "$ROOT" && bazel build --config=release //tests/bench:net_bench) 2>&1 | sed 's/^/   | /'
  NET_BENCH=$(cd "$ROOT" && bazel info --config=release bazel-bin 2>/dev/null)/tests/bench/net_bench
}

# What net_bench runs: "direction backend".
IN_PROCESS=('transmit null' 'receive null' 'both loopback')

measure_in_process() {
  local run format path direction backend bytes batch line
  printf '   '
  for ((run = 0; run < NET_RUNS; run++)); do
    for format in packed split; do
      for path in "${IN_PROCESS[@]}"; do
        read -r direction backend <<<"$path"
        for bytes in 64 1500; do
          for batch in "${NET_BATCHES[@]}"; do
            line=$("$NET_BENCH" --format "$format" --direction "$direction" --backend "$backend" \
              --bytes "$bytes" --batch "$batch" --frames "${NET_FRAMES[$backend]}") || die "net_bench failed"
            read -r _ _ _ _ _ _ line _ <<<"$line"
            RATES["$format $path $bytes $batch"]+=" $line"
          done
        done
      done
    done
    printf '.'
  done
  printf '\n'
}

# rate KEY: the median, in millions of frames a second.
rate() {
  # shellcheck disable=SC2086
  decimal_median ${RATES[$1]} | awk '{ printf "%.2f\n", $1 / 1e6 }'
}

in_process_table() {
  local format path bytes batch
  printf '\nin process: million frames/s (ns per frame), median of %d runs\n' "$NET_RUNS"
  printf '%-36s' 'rings, direction, backend, bytes'
  for batch in "${NET_BATCHES[@]}"; do printf ' %16s' "batch $batch"; done
  printf '\n'
  for format in packed split; do
    for path in "${IN_PROCESS[@]}"; do
      for bytes in 64 1500; do
        printf '%-36s' "$format $path $bytes"
        for batch in "${NET_BATCHES[@]}"; do
          printf ' %16s' "$(rate "$format $path $bytes $batch" |
            awk '{ printf "%s (%.1f)", $1, ($1 ? 1000 / $1 : 0) }')"
        done
        printf '\n'
      done
    done
  done
  printf '\n'
}

# Frames per second against the batch size, a panel for each frame size.
plot_in_process() {
  local bytes batch format path
  for bytes in 64 1500; do
    {
      printf 'batch'
      for format in packed split; do
        for path in "${IN_PROCESS[@]}"; do printf ' "%s"' "$format $path"; done
      done
      printf '\n'
      for batch in "${NET_BATCHES[@]}"; do
        printf '%s' "$batch"
        for format in packed split; do
          for path in "${IN_PROCESS[@]}"; do printf ' %s' "$(rate "$format $path $bytes $batch")"; done
        done
        printf '\n'
      done
    } >"$RESULTS/frames_$bytes.dat"
  done
  gnuplot <<END
set terminal svg size 1100,480 font 'sans-serif,13' background 'white'
set output '$RESULTS/net_frames.svg'
set multiplot layout 1,2
set logscale x 2
set yrange [0:*]
set xlabel 'batch (frames)'
set ylabel 'million frames/s (median)'
set key outside below maxrows 3 noenhanced
set grid
do for [bytes in '64 1500'] {
  set title 'frames of '.bytes.' bytes'
  file = '$RESULTS/frames_'.bytes.'.dat'
  plot for [i=2:7] file using 1:i with linespoints linewidth 2 title columnheader(i)
}
END
  note "plot: $RESULTS/net_frames.svg"
}

bench() {
  lab_install qemu
  install_packages gnuplot-nox
  mkdir -p "$RESULTS"
  ensure_annulus
  ensure_net_bench
  step "in process: $NET_RUNS runs"
  measure_in_process
  in_process_table
  plot_in_process
  lab_prepare annulus qemu
  step "guests: $NET_RUNS runs of each of ${#NET_KINDS[@]}, alternating ($(lab_where))"
  measure_guests
  guests_table
  plot_guests
  bench_line net "tcp_ratio_qemu=$(mean_ratio annulus qemu tcp_sent_mbps tcp_received_mbps)" \
    "pps_ratio_qemu=$(mean_ratio annulus qemu udp_sent_pps udp_received_pps)" \
    "tcp_ratio_vhost=$(mean_ratio annulus qemu_vhost tcp_sent_mbps tcp_received_mbps)" \
    "latency_ratio_qemu=$(mean_ratio annulus qemu ping_median_us)" \
    "null_mpps=$(rate 'packed transmit null 64 64')"
}
