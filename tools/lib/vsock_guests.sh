# shellcheck shell=bash
# The part of tools/bench vsock that needs guests: Annulus beside QEMU microvm, whose socket device is
# the kernel's vhost-vsock; the same guest, L1 and programs, alternately. Needs what tools/bench
# defines, and lab.sh with all that it needs.

# Runs of each.
VSOCK_GUEST_RUNS=${RUNS:-5}
VSOCK_GUEST_KINDS=(annulus qemu)
declare -A VSOCK_GUEST_NAME=([annulus]=annulus [qemu]='QEMU vhost-vsock')
# Metrics of tests/lab/scenarios/bench_vsock.sh, and what they are.
VSOCK_GUEST_METRICS=(
  'g2h_mb_per_s|guest to host, writes of 64 KiB, MB/s'
  'h2g_mb_per_s|host to guest, writes of 64 KiB, MB/s'
  'g2h_4k_mb_per_s|guest to host, writes of 4 KiB, MB/s'
  'h2g_4k_mb_per_s|host to guest, writes of 4 KiB, MB/s'
  'rtt_us|one byte there and back, us'
  'connections_per_s|connections made, used and closed, a second'
)
declare -A VSOCK_GUEST # "kind metric": values, some for each run

# measure_vsock_guests: prints a table and a line "GUESTS vsock key=value ...": ratios of medians, ours
# by that of the peer. Sets VSOCK_VS_VHOST, the smaller ratio of the two throughputs of large writes.
measure_vsock_guests() {
  lab_install qemu
  ensure_annulus
  lab_prepare annulus qemu
  step "guests: $VSOCK_GUEST_RUNS runs of each of ${#VSOCK_GUEST_KINDS[@]}, alternating ($(lab_where))"
  run_vsock_guests
  vsock_guests_table
  local g2h h2g
  g2h=$(vsock_guest_ratio g2h_mb_per_s)
  h2g=$(vsock_guest_ratio h2g_mb_per_s)
  VSOCK_VS_VHOST=$(decimal_minimum "$g2h" "$h2g")
  printf 'GUESTS vsock g2h=%s h2g=%s g2h_4k=%s h2g_4k=%s rtt=%s connections=%s vs_vhost=%s\n' "$g2h" "$h2g" \
    "$(vsock_guest_ratio g2h_4k_mb_per_s)" "$(vsock_guest_ratio h2g_4k_mb_per_s)" \
    "$(vsock_guest_ratio rtt_us)" "$(vsock_guest_ratio connections_per_s)" "$VSOCK_VS_VHOST"
}

run_vsock_guests() {
  local run kind tag jobs=() name value word
  for ((run = 0; run < VSOCK_GUEST_RUNS; run++)); do
    for kind in "${VSOCK_GUEST_KINDS[@]}"; do jobs+=("$kind-$run bench_vsock $kind"); done
  done
  printf '   '
  lab_run_jobs "${jobs[@]}"
  printf '\n'
  for ((run = 0; run < VSOCK_GUEST_RUNS; run++)); do
    for kind in "${VSOCK_GUEST_KINDS[@]}"; do
      tag=$kind-$run
      value=$(lab_verdict "$tag" bench_vsock "$kind")
      if [[ $value != PASS ]]; then
        # In the lab some guests die in any VMM.
        note "$tag is left out: ${value#FAIL } ($LOGS/$tag.log)"
        continue
      fi
      while read -r _ word name value; do
        [[ $word == metric ]] || continue
        VSOCK_GUEST["$kind $name"]+=" $value"
      done < <(tr -d '\r' <"$LOGS/$tag.log" | grep '^lab: metric ')
    done
  done
  for kind in "${VSOCK_GUEST_KINDS[@]}"; do
    [[ -n ${VSOCK_GUEST[$kind rtt_us]:-} ]] || die "no guest under $kind came to its end: $LOGS"
  done
}

# of_vsock_guest median|minimum KIND METRIC
of_vsock_guest() {
  # shellcheck disable=SC2086
  "decimal_$1" ${VSOCK_GUEST[$2 $3]}
}
vsock_guest_maximum() { tr ' ' '\n' <<<"${VSOCK_GUEST[$1 $2]}" | sort -g | tail -n 1; }

# vsock_guest_ratio METRIC
vsock_guest_ratio() { ratio "$(of_vsock_guest median annulus "$1")" "$(of_vsock_guest median qemu "$1")"; }

vsock_guests_table() {
  local entry metric kind
  printf '\nguests: median (minimum..maximum) of %s measurements, %s\n%-46s' \
    "$(wc -w <<<"${VSOCK_GUEST[annulus rtt_us]}")" \
    "$([[ $(lab_where) == direct ]] && echo 'on this host' || echo 'in the lab, emulated')" ''
  for kind in "${VSOCK_GUEST_KINDS[@]}"; do printf ' %26s' "${VSOCK_GUEST_NAME[$kind]}"; done
  printf ' %9s\n' 'ratio'
  for entry in "${VSOCK_GUEST_METRICS[@]}"; do
    metric=${entry%%|*}
    printf '%-46s' "${entry#*|}"
    for kind in "${VSOCK_GUEST_KINDS[@]}"; do
      printf ' %26s' "$(of_vsock_guest median "$kind" "$metric") ($(of_vsock_guest minimum "$kind" \
        "$metric")..$(vsock_guest_maximum "$kind" "$metric"))"
    done
    printf ' %9s\n' "$(vsock_guest_ratio "$metric")"
  done
  printf '\n'
}
