# shellcheck shell=bash
# Which CPUs measurements are pinned to.

# Two CPUs that this process may use: DRIVER_CPU and DEVICE_CPU.
choose_cpus() {
  local cpus
  mapfile -t cpus < <(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' |
    awk -F- '{ for (i = $1; i <= (NF > 1 ? $2 : $1); i++) print i }')
  ((${#cpus[@]} > 1)) || die "this needs two CPUs; this process may use ${#cpus[@]}"
  DRIVER_CPU=${cpus[0]}
  DEVICE_CPU=${cpus[1]}
}
