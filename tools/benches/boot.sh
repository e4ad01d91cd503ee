# shellcheck shell=bash
# bench: exec to the first guest instruction, memory beside guest RAM, time to /init beside QEMU
#
# Three measurements.
# Start: tests/guest:boot_timer, whose first instruction leaves for the debug exit port, on this
#   machine's /dev/kvm, whatever it is. CPU time is the process's own; wall time is from before
#   this shell forks it to that first exit, by the time of day.
# Overhead: resident memory that is not guest RAM, of a VMM whose guest runs.
# Boot: the same kernel, initrd and command line under Annulus and under QEMU microvm, alternately.

START_RUNS=${RUNS:-21}
BOOT_RUNS=${RUNS:-7}

bench_guest() {
  (cd "$ROOT" && bazel build --config=release //tests/guest:boot_timer) 2>&1 | sed 's/^/   | /'
  BOOT_TIMER=$(cd "$ROOT" && bazel info --config=release bazel-bin 2>/dev/null)/tests/guest/boot_timer.elf
}

# field NAME TEXT: a number of the line that --timings prints.
field() { sed -n "s/.*timings:.* $1=\([0-9.]*\).*/\1/p" <<<"$2"; }

# Sets CPU_MS and WALL_MS, arrays of all runs.
measure_start() {
  local i report before
  CPU_MS=()
  WALL_MS=()
  for ((i = 0; i < START_RUNS; i++)); do
    before=$EPOCHREALTIME
    # The exit code is what the guest wrote to the port.
    report=$("$ANNULUS" run --kernel "$BOOT_TIMER" --cpus 1 --memory 128M --rng mmio --rng pci \
      --console null --debug-exit --timings 2>&1 </dev/null) || true
    [[ -n $(field first_exit_ms "$report") ]] || die "no timings from annulus: $report"
    CPU_MS+=("$(field cpu_at_first_exit_ms "$report")")
    WALL_MS+=("$(awk -v us="$(field first_exit_unix_us "$report")" -v before="$before" \
      'BEGIN { printf "%.3f", us / 1000 - before * 1000 }')")
  done
}

# Sets OVERHEAD_KIB, a sample for each of a few VMMs. Debian's kernel keeps a guest busy for long
# enough on any KVM; without a root file system it stops by itself and stays.
measure_overhead() {
  local i pid
  OVERHEAD_KIB=()
  for ((i = 0; i < 5; i++)); do
    "$ANNULUS" run --kernel "$KERNEL_IMAGE" --cmdline "console=ttyS0 quiet panic=0" \
      --cpus 1 --memory 128M --rng mmio --rng pci --console null </dev/null >/dev/null 2>&1 &
    pid=$!
    sleep 1
    # All mappings but the two of guest RAM, its first 2 MiB and the rest, which are told by their
    # sizes.
    OVERHEAD_KIB+=("$(awk '/^Size:/ { size = $2 }
      /^Rss:/ && size != 2 * 1024 && size != 126 * 1024 { sum += $2 }
      END { print sum }' "/proc/$pid/smaps")")
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
  done
}

# Sets ANNULUS_INIT and QEMU_INIT, milliseconds from exec to /init of each run.
measure_boot() {
  local i jobs=() vmm init
  for ((i = 0; i < BOOT_RUNS; i++)); do
    jobs+=("annulus-$i bench_boot annulus" "qemu-$i bench_boot qemu")
  done
  printf '   '
  lab_run_jobs "${jobs[@]}"
  printf '\n'
  ANNULUS_INIT=()
  QEMU_INIT=()
  for ((i = 0; i < BOOT_RUNS; i++)); do
    for vmm in annulus qemu; do
      read -r _ _ _ init _ <"$LOGS/$vmm-$i.result" || init=-
      [[ $init != - ]] || die "a guest under $vmm did not reach /init: $LOGS/$vmm-$i.log"
      if [[ $vmm == annulus ]]; then ANNULUS_INIT+=("$init"); else QEMU_INIT+=("$init"); fi
    done
  done
}

row() { printf '  %-46s %10s %10s %6s\n' "$@"; }

table() {
  local where
  where=$([[ $(lab_where) == direct ]] && echo 'this host' || echo 'in the lab, emulated')
  printf '\n'
  row "boot" minimum median runs
  row "start: CPU ms to the first guest instruction" "$(decimal_minimum "${CPU_MS[@]}")" \
    "$(decimal_median "${CPU_MS[@]}")" "${#CPU_MS[@]}"
  row "start: wall ms to the first guest instruction" "$(decimal_minimum "${WALL_MS[@]}")" \
    "$(decimal_median "${WALL_MS[@]}")" "${#WALL_MS[@]}"
  row "KiB resident beside guest RAM" "$(minimum "${OVERHEAD_KIB[@]}")" \
    "$(median "${OVERHEAD_KIB[@]}")" "${#OVERHEAD_KIB[@]}"
  row "annulus: ms to /init ($where)" "$(minimum "${ANNULUS_INIT[@]}")" \
    "$(median "${ANNULUS_INIT[@]}")" "${#ANNULUS_INIT[@]}"
  row "QEMU microvm: ms to /init ($where)" "$(minimum "${QEMU_INIT[@]}")" \
    "$(median "${QEMU_INIT[@]}")" "${#QEMU_INIT[@]}"
  printf '\n'
}

# A dot for each boot, so that the spread is seen. Beside the logs.
plot() {
  local i
  {
    local longest
    longest=$(printf '%s\n' "${ANNULUS_INIT[@]}" "${QEMU_INIT[@]}" | sort -n | tail -n 1)
    echo '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="140" font-family="sans-serif"'
    echo 'font-size="13"><rect width="640" height="140" fill="white"/>'
    echo "<text x=\"10\" y=\"20\">ms from exec to /init; right edge: $longest</text>"
    echo '<text x="10" y="60">annulus</text><text x="10" y="100">QEMU microvm</text>'
    for i in "${ANNULUS_INIT[@]}"; do
      echo "<circle cx=\"$((120 + i * 500 / longest))\" cy=\"56\" r=\"4\" fill=\"#06c\"/>"
    done
    for i in "${QEMU_INIT[@]}"; do
      echo "<circle cx=\"$((120 + i * 500 / longest))\" cy=\"96\" r=\"4\" fill=\"#c60\"/>"
    done
    echo '</svg>'
  } >"$LOGS/boot.svg"
  note "plot: $LOGS/boot.svg"
}

bench() {
  lab_install qemu
  ensure_annulus
  bench_guest
  if [[ $(kvm_kind) =~ missing|forbidden ]]; then
    die "the start is measured on this machine's /dev/kvm, and $(kvm_kind_reason "$(kvm_kind)")"
  fi
  step "start: $START_RUNS runs"
  measure_start
  step "overhead"
  measure_overhead
  step "boot: $BOOT_RUNS runs each, alternating ($(lab_where))"
  lab_prepare annulus qemu
  measure_boot
  table
  plot
  bench_line boot "cpu_ms=$(decimal_median "${CPU_MS[@]}")" \
    "wall_ms=$(decimal_median "${WALL_MS[@]}")" \
    "overhead_mib=$(ratio "$(median "${OVERHEAD_KIB[@]}")" 1024)" \
    "boot_ratio=$(ratio "$(median "${ANNULUS_INIT[@]}")" "$(median "${QEMU_INIT[@]}")")"
}
