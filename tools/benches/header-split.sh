# shellcheck shell=bash
# bench: header-split receive by methods A, B, C and Q, against a receiver that copies
#
# tests/bench:header_split_bench, the network device without a VM: its receive worker on one CPU, a
# driver and the program that receives a TCP stream on the other. The program has to hold the last
# 4 MiB of the payload in pages. Without header split it copies; with it, it keeps the pages that
# the payload came in and gives the driver others. In rounds in which all take turns.
# Sources: memory, from which frames are copied as a switch does; and a tap, bursts of frames that
#   were sent to it before the time begins. No TCP above either: what is compared is how payload
#   comes into the program's pages.
# Overhead: a program that only looks at headers, with the same buffers, split on against split off.

HS_RUNS=${RUNS:-5}
HS_PAYLOADS=(1448 4096 65160) # The last: the largest GSO frame of Linux at an MTU of 1500.
HS_MIXES=(pure mixed)
HS_SOURCES=(memory tap)
HS_METHODS=(A B C Q)
HS_COPIERS=(merged chain)
# Of each cell: by what they cost.
declare -A HS_FRAMES=(
  [memory 1448]=1000000 [memory 4096]=600000 [memory 65160]=50000
  [tap 1448]=100000 [tap 4096]=100000 [tap 65160]=20000
)
# Rows of the tables, and what header_split_bench is told for each.
HS_ROWS=(merged chain A B C Q Q-merged)
declare -A HS_NAMES=(
  [merged]='copy, mergeable buffers' [chain]='copy, chains' [A]='A, chains' [B]='B, buffers'
  [C]='C, small and large buffers' [Q]='Q, header queue and chains'
  [Q-merged]='Q, mergeable (unaligned)'
)

RESULTS=$CACHE/bench/header-split
declare -A HS # "source payload mix row field": values, one for each run

ensure_header_split_bench() {
  (cd "$ROOT" && bazel build --config=release //tests/bench:header_split_bench) 2>&1 | sed 's/^/   | /'
  HS_BENCH=$(cd "$ROOT" && bazel info --config=release bazel-bin 2>/dev/null)/tests/bench/header_split_bench
}

# Two CPUs that this process may use.
choose_cpus() {
  local cpus
  mapfile -t cpus < <(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' |
    awk -F- '{ for (i = $1; i <= (NF > 1 ? $2 : $1); i++) print i }')
  ((${#cpus[@]} > 1)) || die "the bench needs two CPUs; this process may use ${#cpus[@]}"
  HS_CPUS=(--driver-cpu "${cpus[0]}" --device-cpu "${cpus[1]}")
}

# measure SOURCE PAYLOAD MIX ROW FLAG...: one run of one cell.
measure() {
  local source=$1 payload=$2 mix=$3 row=$4 line word command
  shift 4
  command=("$HS_BENCH" --source "$source" --payload "$payload" --frames "${HS_FRAMES[$source $payload]}"
    "${HS_CPUS[@]}" "$@")
  [[ $mix == pure ]] || command+=(--mixed)
  if [[ $source == tap ]]; then
    line=$(as_root "${command[@]}") || die "failed: ${command[*]}"
  else
    line=$("${command[@]}") || die "failed: ${command[*]}"
  fi
  printf '%s\n' "$line" >>"$RESULTS/runs.txt"
  for word in $line; do
    [[ $word != *=* ]] || HS["$source $payload $mix $row ${word%%=*}"]+=" ${word#*=}"
  done
}

measure_all() {
  local run source payload mix row use
  : >"$RESULTS/runs.txt"
  printf '   '
  for ((run = 0; run < HS_RUNS; run++)); do
    for source in "${HS_SOURCES[@]}"; do
      for payload in "${HS_PAYLOADS[@]}"; do
        for mix in "${HS_MIXES[@]}"; do
          for row in "${HS_ROWS[@]}"; do
            use=hold
            [[ " ${HS_COPIERS[*]} " != *" $row "* ]] || use=copy
            measure "$source" "$payload" "$mix" "$row" --method "$row" --use $use
            [[ $source == tap ]] ||
              measure "$source" "$payload" "$mix" "steps-$row" --method "$row" --use $use --steps
          done
          measure "$source" "$payload" "$mix" look-merged --method merged --use look
          for row in "${HS_METHODS[@]}"; do
            measure "$source" "$payload" "$mix" "look-$row-off" --method "$row" --use look --split off
            measure "$source" "$payload" "$mix" "look-$row-on" --method "$row" --use look
          done
        done
      done
    done
    printf '.'
  done
  printf '\n'
}

# hs_median SOURCE PAYLOAD MIX ROW FIELD; hs_minimum, hs_maximum: likewise.
hs_median() {
  # shellcheck disable=SC2086
  decimal_median ${HS[$*]}
}
hs_minimum() {
  # shellcheck disable=SC2086
  decimal_minimum ${HS[$*]}
}
hs_maximum() { tr ' ' '\n' <<<"${HS[$*]}" | sort -g | tail -n 1; }

percent() { awk -v a="$1" 'BEGIN { printf "%.1f\n", 100 * a }'; }

# best SOURCE PAYLOAD MIX ROW...: the one with the most GB/s.
best() {
  local cell="$1 $2 $3" row
  shift 3
  for row in "$@"; do
    # shellcheck disable=SC2086
    printf '%s %s\n' "$(hs_median $cell "$row" gb_per_s)" "$row"
  done | sort -gr | head -n 1 | cut -d ' ' -f 2
}

# overhead SOURCE PAYLOAD MIX METHOD [BASE]: per cent more ns per frame with split on than without.
overhead() {
  awk -v off="$(hs_median "$1" "$2" "$3" "${5:-look-$4-off}" ns_per_frame)" \
    -v on="$(hs_median "$1" "$2" "$3" "look-$4-on" ns_per_frame)" \
    'BEGIN { printf "%.1f\n", off ? 100 * (on / off - 1) : 0 }'
}

stream_name() { printf '%s-byte payloads, %s' "$1" "$([[ $2 == pure ]] && echo 'nothing else' || echo 'mixed')"; }

methods_table() {
  local source=$1 payload mix row cell copier
  printf '\nfrom %s: median (minimum..maximum) of %d runs\n' "$source" "$HS_RUNS"
  for payload in "${HS_PAYLOADS[@]}"; do
    for mix in "${HS_MIXES[@]}"; do
      copier=$(best "$source" "$payload" "$mix" "${HS_COPIERS[@]}")
      printf '\n%-30s %22s %10s %6s %10s %7s %6s %7s %17s %8s\n' "$(stream_name "$payload" "$mix")" 'GB/s' \
        'ns/frame' 'x copy' 'waste/MiB' 'pages%' 'split%' 'copied%' 'predicted/mis/un%' 'KiB ring'
      for row in "${HS_ROWS[@]}"; do
        cell="$source $payload $mix $row"
        # shellcheck disable=SC2086
        printf '%-30s %22s %10s %6s %9sK %7s %6s %7s %17s %8s\n' "${HS_NAMES[$row]}" \
          "$(hs_median $cell gb_per_s) ($(hs_minimum $cell gb_per_s)..$(hs_maximum $cell gb_per_s))" \
          "$(hs_median $cell ns_per_frame)" \
          "$(ratio "$(hs_median $cell gb_per_s)" "$(hs_median "$source" "$payload" "$mix" "$copier" gb_per_s)")" \
          "$(awk -v b="$(hs_median $cell wasted_per_mib)" 'BEGIN { printf "%.0f", b / 1024 }')" \
          "$(percent "$(hs_median $cell whole_pages)")" "$(percent "$(hs_median $cell split_share)")" \
          "$(percent "$(hs_median $cell copied_share)")" \
          "$(percent "$(hs_median $cell predicted)")/$(percent "$(hs_median $cell mispredicted)")/$(
            percent "$(hs_median $cell unpredicted)")" \
          "$(hs_median $cell posted_kib)"
      done
    done
  done
}

overhead_table() {
  local source=$1 payload mix row
  printf '\nfrom %s, headers only looked at: ns per frame, split off -> on (%% against the same buffers; %% against plain mergeable ones)\n' \
    "$source"
  printf '%-30s %10s' '' 'mergeable'
  for row in "${HS_METHODS[@]}"; do printf ' %32s' "$row"; done
  printf '\n'
  for payload in "${HS_PAYLOADS[@]}"; do
    for mix in "${HS_MIXES[@]}"; do
      printf '%-30s %10s' "$(stream_name "$payload" "$mix")" \
        "$(hs_median "$source" "$payload" "$mix" look-merged ns_per_frame)"
      for row in "${HS_METHODS[@]}"; do
        printf ' %32s' "$(hs_median "$source" "$payload" "$mix" "look-$row-off" ns_per_frame) -> $(
          hs_median "$source" "$payload" "$mix" "look-$row-on" ns_per_frame) ($(
          overhead "$source" "$payload" "$mix" "$row")%; $(
          overhead "$source" "$payload" "$mix" "$row" look-merged)%)"
      done
      printf '\n'
    done
  done
}

# Which thread sets the pace: the other one waits for it.
steps_table() {
  local payload mix row cell
  printf '\nns per frame of either thread without waiting (receive worker + program, sum), from memory\n%-30s' ''
  for row in "${HS_ROWS[@]}"; do printf ' %24s' "$row"; done
  printf '\n'
  for payload in "${HS_PAYLOADS[@]}"; do
    for mix in "${HS_MIXES[@]}"; do
      printf '%-30s' "$(stream_name "$payload" "$mix")"
      for row in "${HS_ROWS[@]}"; do
        cell="memory $payload $mix steps-$row"
        # shellcheck disable=SC2086
        printf ' %24s' "$(awk -v d="$(hs_median $cell device_ns)" -v p="$(hs_median $cell program_ns)" \
          'BEGIN { printf "%.0f + %.0f = %.0f", d, p, d + p }')"
      done
      printf '\n'
    done
  done
}

# What the header queue takes beside the buffers that it goes with: pages of 4 KiB, as in the sum that
# its author made, and chains of 17; and what of both is not used.
queue_memory_table() {
  local mix row
  printf '\nmemory of method Q beside that of its buffers:\n'
  for row in Q-merged Q; do
    printf '   %-30s %s KiB of slots beside %s KiB: %s%%\n' "${HS_NAMES[$row]}" \
      "$(hs_median memory 4096 pure "$row" slots_kib)" "$(hs_median memory 4096 pure "$row" posted_kib)" \
      "$(queue_memory_pct "$row")"
  done
  for mix in "${HS_MIXES[@]}"; do
    printf '   waste measured, 4096-byte payloads, %s: %s%% of the payload\n' "$mix" \
      "$(awk -v b="$(hs_median memory 4096 "$mix" Q wasted_per_mib)" 'BEGIN { printf "%.2f", 100 * b / 1048576 }')"
  done
  printf '\n'
}

# queue_memory_pct ROW
queue_memory_pct() {
  awk -v slots="$(hs_median memory 4096 pure "$1" slots_kib)" \
    -v buffers="$(hs_median memory 4096 pure "$1" posted_kib)" \
    'BEGIN { printf "%.2f\n", buffers ? 100 * slots / buffers : 0 }'
}

# missing_frames: how many were not received in all runs together.
missing_frames() { sed 's/.* missing=//' "$RESULTS/runs.txt" | awk '{ sum += $1 } END { print sum + 0 }'; }

# data FILE FIELD SOURCE ROW...: a line for each stream, a column for each row. FIELD may be overhead.
data() {
  local file=$1 field=$2 source=$3 payload mix row
  shift 3
  {
    printf 'stream'
    for row in "$@"; do printf ' "%s"' "${HS_NAMES[$row]:-$row}"; done
    printf '\n'
    for payload in "${HS_PAYLOADS[@]}"; do
      for mix in "${HS_MIXES[@]}"; do
        printf '"%s %s"' "$payload" "$mix"
        for row in "$@"; do
          if [[ $field == overhead ]]; then
            printf ' %s' "$(overhead "$source" "$payload" "$mix" "$row")"
          else
            printf ' %s' "$(hs_median "$source" "$payload" "$mix" "$row" "$field")"
          fi
        done
        printf '\n'
      done
    done
  } >"$RESULTS/$file.dat"
}

# plot FILE TITLE YLABEL COLUMNS SCALE [LEAST]: bars of what data() wrote, but its first column.
plot() {
  gnuplot <<END
set terminal svg size 1100,480 font 'sans-serif,13' background 'white'
set output '$RESULTS/$1.svg'
set title "$2"
set ylabel "$3"
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.8
set yrange [${6:-0}:*]
set xzeroaxis
set grid y
set key outside right noenhanced
plot for [i=2:$4] '$RESULTS/$1.dat' using (column(i) * $5):xtic(1) title columnheader(i)
END
  note "plot: $RESULTS/$1.svg"
}

plot_all() {
  local source
  for source in "${HS_SOURCES[@]}"; do
    data "gb_per_s_$source" gb_per_s "$source" "${HS_ROWS[@]}"
    plot "gb_per_s_$source" "payload into the program's pages, from $source (median)" 'GB/s' 8 1
    data "overhead_$source" overhead "$source" "${HS_METHODS[@]}"
    plot "overhead_$source" "headers only looked at, from $source: split on against off" \
      'per cent more time per frame' 5 1 '*'
  done
  data waste wasted_per_mib memory "${HS_ROWS[@]}"
  plot waste 'receive memory wasted' 'MiB per MiB of payload' 8 '(1.0 / 1048576)'
}

bench() {
  local method copier source missing
  install_packages gnuplot-nox
  mkdir -p "$RESULTS"
  choose_cpus
  ensure_header_split_bench
  step "$HS_RUNS runs, all in turn (${HS_CPUS[*]})"
  measure_all
  for source in "${HS_SOURCES[@]}"; do
    methods_table "$source"
    overhead_table "$source"
  done
  steps_table
  queue_memory_table
  missing=$(missing_frames)
  ((missing == 0)) || note "$missing frames were dropped on the way"
  plot_all
  method=$(best memory 4096 pure "${HS_METHODS[@]}")
  copier=$(best memory 4096 pure "${HS_COPIERS[@]}")
  bench_line header-split \
    "best_vs_copy=$(ratio "$(hs_median memory 4096 pure "$method" gb_per_s)" "$(hs_median memory 4096 pure "$copier" gb_per_s)")" \
    "method=$method" "overhead_pct=$(overhead memory 4096 pure "$method")" "q_memory_pct=$(queue_memory_pct Q-merged)"
}
