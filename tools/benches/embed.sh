# shellcheck shell=bash
# bench: what a VM in one's process costs: start, stop, sandbox, memory, size
#
# The guest is the microguest, with an entropy device, a card and a socket device, on this machine's
# /dev/kvm, whatever it is. On a software KVM its instructions take long, the VMM's do not.
#
# Start: in a new process for each run. From Vmm::Create(), or from making the sandbox, to the first
#   guest instruction; with and without a sandbox in turns. CPU time is the process's own.
# Stop: from Stop() to the return of Wait(), and of the destructor.
# CLI: exec to the first guest instruction of `annulus run`, likewise.
# Data: of the socket device alone, whose threads make a system call or more for each packet, with and
#   without a sandbox in turns: round trips of one byte, and a stream to the guest. What a thread's list
#   of system calls costs the data path would show here. The median of the ratios of neighbouring runs.
# Memory: of idle guests, when all of them are there: proportional set size of everything, and
#   private dirty pages of guest RAM by itself. What the kernel keeps for a VM is not in it, but page
#   tables are shown.
# Size: of the stripped program, and of the shared library.
#
# --quick: few runs, and 8 VMs at most.

EMBED_RUNS=${RUNS:-31}
EMBED_DATA_RUNS=25
EMBED_VMS=(1 8 32)
EMBED_MANY=32

# value KEY TEXT: of a line of key=value.
value() { sed -n "s/.*\b$1=\([-0-9.]*\).*/\1/p" <<<"$2"; }

embed_bench() { "$EMBED_BENCH" "$@" --kernel "$MICROGUEST"; }

# Sets EMBED, "measurement sandbox key": all runs.
declare -A EMBED

# one_start SANDBOX
one_start() {
  local report key flags=()
  [[ $1 == off ]] || flags=(--sandbox)
  report=$(embed_bench start --runs 1 "${flags[@]}") || die "embed_bench failed"
  for key in create_ms create_cpu_ms start_ms start_cpu_ms stop_ms stop_cpu_ms; do
    EMBED["start $1 $key"]+=" $(value "$key" "$report")"
  done
}

# one_cli SANDBOX
one_cli() {
  local report before=$EPOCHREALTIME
  report=$("$ANNULUS" run --kernel "$BOOT_TIMER" --cpus 1 --memory 128M --rng pci \
    --console null --debug-exit --timings --sandbox="$1" 2>&1 </dev/null) || true
  [[ -n $(value first_exit_ms "$report") ]] || die "no timings from annulus: $report"
  EMBED["cli $1 wall"]+=" $(awk -v us="$(value first_exit_unix_us "$report")" \
    -v before="$before" 'BEGIN { printf "%.3f", us / 1000 - before * 1000 }')"
  EMBED["cli $1 cpu"]+=" $(value cpu_at_first_exit_ms "$report")"
}

# one_data SANDBOX
one_data() {
  local mode key report flags=(--milliseconds 500)
  [[ $1 == off ]] || flags+=(--sandbox)
  for mode in rtt h2g; do
    key=$([[ $mode == rtt ]] && echo p50_us || echo gib_per_s)
    report=$("$VSOCK_BENCH" --mode "$mode" "${flags[@]}") || die "vsock_bench failed"
    EMBED["data $1 $mode"]+=" $(value "$key" "$report")"
  done
}

# in_turns RUNS FUNCTION: with and without a sandbox, each first half of the time.
in_turns() {
  local i
  printf '   '
  for ((i = 0; i < $1; i++)); do
    if ((i % 2)); then "$2" off && "$2" on; else "$2" on && "$2" off; fi
    printf '.'
  done
  printf '\n'
}

# of median|minimum KEY: KEY as above.
of() {
  # shellcheck disable=SC2086
  "decimal_$1" ${EMBED["$2"]}
}

# paired OPERATOR KEY KEY: the median of what neighbouring runs differ by (-), or of their ratios (/).
paired() {
  local a b i all=()
  read -ra a <<<"${EMBED["$2"]}"
  read -ra b <<<"${EMBED["$3"]}"
  for i in "${!a[@]}"; do
    all+=("$(awk "BEGIN { printf \"%.4f\", ${a[i]} $1 ${b[i]} }")")
  done
  decimal_median "${all[@]}"
}

embed_row() { printf '  %-52s %10s %10s %10s %10s\n' "$@"; }

time_table() {
  local key
  printf '\n'
  embed_row 'ms, median and minimum' 'off' '(min)' 'sandbox' '(min)'
  for key in create_ms create_cpu_ms start_ms start_cpu_ms stop_ms stop_cpu_ms; do
    embed_row "library: $key" "$(of median "start off $key")" "$(of minimum "start off $key")" \
      "$(of median "start on $key")" "$(of minimum "start on $key")"
  done
  for key in wall cpu; do
    embed_row "annulus run: to the first guest instruction, $key" \
      "$(of median "cli off $key")" "$(of minimum "cli off $key")" \
      "$(of median "cli on $key")" "$(of minimum "cli on $key")"
  done
  embed_row 'vsock: round trip, microseconds' "$(of median 'data off rtt')" \
    "$(of minimum 'data off rtt')" "$(of median 'data on rtt')" "$(of minimum 'data on rtt')"
  embed_row 'vsock: GiB/s to the guest' "$(of median 'data off h2g')" \
    "$(of minimum 'data off h2g')" "$(of median 'data on h2g')" "$(of minimum 'data on h2g')"
  printf '  sandbox: library %s ms, annulus run %s ms (CPU %s and %s)\n' \
    "$(paired - 'start on start_ms' 'start off start_ms')" \
    "$(paired - 'cli on wall' 'cli off wall')" \
    "$(paired - 'start on start_cpu_ms' 'start off start_cpu_ms')" \
    "$(paired - 'cli on cpu' 'cli off cpu')"
  printf '  data path with it: round trips take %s of the time, streams have %s of the speed\n' \
    "$(paired / 'data on rtt' 'data off rtt')" "$(paired / 'data on h2g' 'data off h2g')"
}

# Sets PSS and RAM, KiB by number of VMs, and prints them.
memory_table() {
  local vms report last
  declare -gA PSS RAM
  printf '\n'
  embed_row 'idle VMs: KiB' total 'guest RAM' 'other' 'page tables'
  for vms in "${EMBED_VMS[@]}"; do
    report=$(embed_bench resident --vms "$vms") || die "embed_bench failed"
    PSS[$vms]=$(value pss_kib "$report")
    RAM[$vms]=$(value guest_ram_kib "$report")
    embed_row "$vms in one process" "${PSS[$vms]}" "${RAM[$vms]}" $((PSS[$vms] - RAM[$vms])) \
      "$(value page_tables_kib "$report")"
  done
  report=$(embed_bench processes --vms "$EMBED_MANY") || die "embed_bench failed"
  embed_row "$EMBED_MANY in $EMBED_MANY processes" "$(value pss_kib "$report")" \
    "$(value guest_ram_kib "$report")" \
    $(($(value pss_kib "$report") - $(value guest_ram_kib "$report"))) -
  last=${EMBED_VMS[-1]}
  MIB_PER_VM=$(awk -v a="${PSS[1]}" -v b="${PSS[$last]}" -v n="$last" \
    'BEGIN { printf "%.2f", (b - a) / (n - 1) / 1024 }')
  printf '  each further VM in one process: %s MiB, of it %s MiB guest RAM\n' "$MIB_PER_VM" \
    "$(awk -v a="${RAM[1]}" -v b="${RAM[$last]}" -v n="$last" \
      'BEGIN { printf "%.2f", (b - a) / (n - 1) / 1024 }')"
}

size_table() {
  local file stripped
  stripped=$(mktemp)
  printf '\n  %-52s %10s\n' 'size, stripped' KiB
  for file in "$ANNULUS" "$RELEASE/vmm/library/libannulus.so"; do
    [[ -f $file ]] || continue
    strip -o "$stripped" "$file"
    printf '  %-52s %10s\n' "$(basename "$file")" $(($(stat -c %s "$stripped") / 1024))
  done
  rm -f "$stripped"
}

bench() {
  install_packages "${BUILD_PACKAGES[@]}"
  if [[ $(kvm_kind) =~ missing|forbidden ]]; then
    die "guests run on this machine's /dev/kvm, and $(kvm_kind_reason "$(kvm_kind)")"
  fi
  if [[ -n $QUICK ]]; then
    EMBED_RUNS=${RUNS:-5}
    EMBED_DATA_RUNS=3
    EMBED_VMS=(1 8)
    EMBED_MANY=8
  fi
  build_release //tests/bench:embed_bench //tests/bench:vsock_bench //tests/guest:microguest \
    //tests/guest:boot_timer //cli:annulus //vmm/library:libannulus.so
  ANNULUS=${ANNULUS:-$RELEASE/cli/annulus}
  EMBED_BENCH=$RELEASE/tests/bench/embed_bench
  VSOCK_BENCH=$RELEASE/tests/bench/vsock_bench
  MICROGUEST=$RELEASE/tests/guest/microguest.elf
  BOOT_TIMER=$RELEASE/tests/guest/boot_timer.elf
  step "start and stop: $EMBED_RUNS runs each, in turns"
  in_turns "$EMBED_RUNS" one_start
  step "annulus run: $EMBED_RUNS runs each, in turns"
  in_turns "$EMBED_RUNS" one_cli
  step "data path: $EMBED_DATA_RUNS runs each, in turns"
  in_turns "$EMBED_DATA_RUNS" one_data
  time_table
  step "memory"
  memory_table
  size_table
  printf '\n'
  bench_line embed "start_ms=$(of median 'start off start_ms')" \
    "sandbox_ms=$(paired - 'cli on wall' 'cli off wall')" \
    "mib_per_vm=$MIB_PER_VM" "stop_ms=$(of median 'start on stop_ms')"
}
