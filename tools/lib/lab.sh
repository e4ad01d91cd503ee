# shellcheck shell=bash
# Runs scenarios of tests/lab: directly where KVM has hardware behind it, else in L1, a machine
# inside QEMU TCG that emulates AMD SVM. Needs common.sh, packages.sh, debian_kernel.sh, images.sh,
# kvm.sh, annulus.sh for scenarios with streams or sockets, and kernel_vsock_tests.sh for the latter.
#
# The caller defines on_begin TAG and on_end TAG, called as jobs come and go, and on_lost TAG, called
# if L1 died meanwhile; another on_begin, or on_end without a result, follows. LAB_CPUS and LAB_MEMORY
# are what scenarios get that do not say.

# What the L1 halves of scenarios with network cards run.
L1_NETWORK_PROGRAMS=(ip iperf3 passt)

# Jobs of one boot of L1: each has a PCI slot.
L1_JOBS=24
# Seconds without a sign of life from one of its CPUs (one comes every five) after which L1 itself is
# held to be dead, also on a busy host; and how often it may die on one job. It does, on QEMU 7.2
# about once in seventy guests, whichever VMM runs them.
L1_SILENCE=60
L1_LIVES=3
L1_ACCEL=${L1_ACCEL:-tcg,thread=multi}
# Without XSAVE: TCG lets a guest's XSETBV past SVM's intercept, so KVM in L1 would not know what
# its guest's XCR0 is, and guests warn, or die at random. Without NPT, so that KVM in L1 shadows its
# guests' page tables: QEMU 7.2's own nested paging gives a guest page faults at pages that are there,
# and about one in four dies of it (a triple fault), or hangs on the fault for good.
L1_CPU=${L1_CPU:-EPYC-v2,+svm,-xsave,-npt}
L1_SMP=${L1_SMP:-2}
# MiB. More than the largest guest of a scenario; the host is asked only for what is touched.
L1_MEMORY=${L1_MEMORY:-6144}

# scenario_value NAME VARIABLE: what the scenario's file sets, in SCENARIOS.
scenario_value() (
  set +eu
  name=$1
  # shellcheck source=/dev/null
  source "$ROOT/tests/lab/vmm_command.sh"
  # shellcheck source=/dev/null
  source "${SCENARIOS:-$ROOT/tests/lab/scenarios}/$1.sh"
  printf '%s\n' "${!2}"
)

# lab_where: direct or nested. LAB_NESTED=1 asks for the lab even with hardware.
lab_where() {
  if [[ $(kvm_kind) == hardware && -z ${LAB_NESTED:-} ]]; then echo direct; else echo nested; fi
}

# needs VARIABLE "TAG SCENARIO VMM"...: whether the scenario of one of these jobs sets it: cards,
# streams or vsock.
needs() {
  local variable=$1 job scenario
  shift
  for job in "$@"; do
    read -r _ scenario _ <<<"$job"
    [[ -z $(scenario_value "$scenario" "$variable") ]] || return 0
  done
  return 1
}

# Scenarios run on Debian's kernel; their guests on that of another series, LINUX, if set (6.12).
#
# lab_install [qemu]: packages for what this machine needs; qemu if the peer runs too.
lab_install() {
  local packages=("${GUEST_PACKAGES[@]}")
  [[ $(lab_where) == direct && ${1:-} != qemu ]] || packages+=("${LAB_PACKAGES[@]}")
  install_packages "${packages[@]}"
  ensure_kernel
  ensure_guest_kernel
}

# lab_prepare VMM...: fills LAB, the folder that scenarios run from. ANNULUS names the binary.
# Sets LOGS.
lab_prepare() {
  local vmm
  LAB_WORK=$(mktemp -d "$CACHE/lab.XXXXXX")
  export LAB=$LAB_WORK/lab
  LOGS=$CACHE/logs/$(date +%Y%m%d-%H%M%S)-$$
  mkdir -p "$LAB" "$LOGS"
  # Old logs go, the last ten runs stay.
  find "$CACHE/logs" -mindepth 1 -maxdepth 1 -printf '%p\n' | sort | head -n -10 | xargs -r rm -rf
  cp -r "$ROOT/tests/lab/scenarios" "$ROOT"/tests/lab/*.sh "$LAB/"
  ln -s "$GUEST_KERNEL_IMAGE" "$LAB/bzimage"
  # The same, but its setup header names no payload (payload_length at 0x24c is 0): the VMM cannot
  # unpack it, as it could not one in another compression.
  cp "$GUEST_KERNEL_IMAGE" "$LAB/bzimage_self"
  printf '\0\0\0\0' |
    dd of="$LAB/bzimage_self" bs=1 seek=$((0x24c)) conv=notrunc status=none
  with_guest_kernel ensure_vmlinux
  ln -s "$VMLINUX" "$LAB/vmlinux"
  with_guest_kernel make_guest_initrd "$LAB/initrd"
  for vmm in "$@"; do
    case $vmm in
      annulus) ln -s "$ANNULUS" "$LAB/annulus" ;;
      qemu)
        ln -s "$(command -v qemu-system-x86_64)" "$LAB/qemu-system-x86_64"
        mkdir "$LAB/qemu-share"
        ln -s /usr/share/qemu/{linuxboot_dma,pvh}.bin /usr/share/seabios/bios-microvm.bin \
          "$LAB/qemu-share/"
        ;;
    esac
  done
  [[ $(lab_where) == direct ]] || pack_l1
  trap lab_clean EXIT
  # Without these bash dies of the signal and leaves L1 running.
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

lab_clean() {
  [[ -z ${L1_PID:-} ]] || kill "$L1_PID" 2>/dev/null || true
  [[ -z ${LIVE_TOKEN:-} ]] || kill "$LIVE_TOKEN" 2>/dev/null || true
  [[ -z ${LAB_WORK:-} ]] || rm -rf "$LAB_WORK"
}

# lab_add_network: LAB/network, which only scenarios with network cards read. Once.
lab_add_network() {
  local program
  [[ ! -e $LAB/network ]] || return 0
  install_packages "${NETWORK_PACKAGES[@]}"
  mkdir "$LAB/network"
  with_guest_kernel make_guest_network "$LAB/network/initrd"
  for program in "${L1_NETWORK_PROGRAMS[@]}"; do
    ln -s "$(program_file "$program")" "$LAB/network/$program"
  done
  [[ $(lab_where) == direct ]] || pack_l1_network
}

# lab_add_streams: hs_send, and what is appended to the initrd of guests that run hs_receive. Once;
# after lab_add_network. Needs annulus.sh.
lab_add_streams() {
  local root=$LAB_WORK/l1-streams
  [[ ! -e $LAB/network/streams ]] || return 0
  ensure_stream_programs
  make_guest_streams "$LAB/network/streams"
  ln -s "$STREAM_PROGRAMS/hs_send" "$LAB/network/hs_send"
  [[ $(lab_where) == nested ]] || return 0
  mkdir -p "$root/lab/network"
  cp "$LAB/network/streams" "$root/lab/network/"
  add_program "$root" "$STREAM_PROGRAMS/hs_send" lab/network/hs_send
  pack_initramfs "$root" "$LAB_WORK/l1-streams.cpio"
  rm -rf "$root"
}

# lab_add_vsock: LAB/vsock, which only scenarios with a socket device read. Once. Needs annulus.sh and
# kernel_vsock_tests.sh.
lab_add_vsock() {
  local root=$LAB_WORK/l1-vsock file
  [[ ! -e $LAB/vsock ]] || return 0
  ensure_kernel_vsock_tests
  ensure_vsock_programs
  mkdir "$LAB/vsock"
  with_guest_kernel make_guest_vsock "$LAB/vsock/initrd"
  local files=("$VSOCK_PROGRAMS"/{vsock_peer,libvsock_shim.so}
    "$KERNEL_VSOCK_TESTS"/{vsock_test,vsock_diag_test})
  for file in "${files[@]}"; do ln -s "$file" "$LAB/vsock/"; done
  [[ $(lab_where) == nested ]] || return 0
  mkdir -p "$root/lab/vsock"
  cp "$LAB/vsock/initrd" "$root/lab/vsock/"
  for file in "${files[@]}"; do add_program "$root" "$file" "lab/vsock/$(basename "$file")"; done
  add_modules "$root/modules" "${L1_VSOCK_MODULES[@]}"
  printf '%s\n' "${L1_VSOCK_MODULES[@]}" >"$root/lab/vsock/modules"
  pack_initramfs "$root" "$LAB_WORK/l1-vsock.cpio"
  rm -rf "$root"
}

# What is appended to L1 for it.
pack_l1_network() {
  local root=$LAB_WORK/l1-network program
  mkdir -p "$root/lab/network"
  cp "$LAB/network/initrd" "$root/lab/network/"
  for program in "${L1_NETWORK_PROGRAMS[@]}"; do
    add_program "$root" "$(readlink -f "$LAB/network/$program")" "lab/network/$program"
  done
  add_modules "$root/modules" "${L1_NETWORK_MODULES[@]}" pktgen
  printf '%s\n' "${L1_NETWORK_MODULES[@]}" >"$root/lab/network/modules"
  pack_initramfs "$root" "$LAB_WORK/l1-network.cpio"
  rm -rf "$root"
}

# What L1 consists of, save its jobs and the network.
pack_l1() {
  local root=$LAB_WORK/l1 program
  mkdir -p "$root/dev" "$root/proc" "$root/sys"
  install -D /bin/busybox "$root/bin/busybox"
  install "$ROOT/tests/lab/l1/init" "$root/init"
  # The kernel's debugging sections would only fill L1's memory.
  cp -rL "$LAB" "$root/lab"
  add_modules "$root/modules" irqbypass kvm kvm-amd virtio_ring virtio \
    virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console
  for program in annulus qemu-system-x86_64; do
    [[ ! -e $LAB/$program ]] || add_program "$root" "$(readlink -f "$LAB/$program")" "lab/$program"
  done
  pack_initramfs "$root" "$LAB_WORK/l1.cpio"
  rm -rf "$root"
}

# Sets L1_COMMAND for the kernel command line $1, without serial ports.
l1_command() {
  L1_COMMAND=(qemu-system-x86_64 -M "q35,memory-backend=ram" -accel "$L1_ACCEL" -cpu "$L1_CPU"
    -smp "$L1_SMP" -m "$L1_MEMORY" -object "memory-backend-ram,id=ram,size=${L1_MEMORY}M,reserve=off"
    -nodefaults -no-user-config -no-reboot -display none
    -kernel "$KERNEL_IMAGE" -initrd "$LAB_WORK/l1.image"
    -append "console=ttyS0 panic=-1 mitigations=off $1")
}

# lab_run_jobs "TAG SCENARIO VMM"...: leaves LOGS/TAG.log, and LOGS/TAG.result unless the job was
# lost: EXIT_CODE TOTAL_MS KERNEL_MS INIT_MS END_MS as tests/lab/run_scenario.sh says.
lab_run_jobs() {
  local job tag scenario vmm
  ! needs cards "$@" || lab_add_network
  ! needs streams "$@" || lab_add_streams
  ! needs vsock "$@" || lab_add_vsock
  if [[ $(lab_where) == nested ]]; then
    run_nested "$@"
    return
  fi
  for job in "$@"; do
    read -r tag scenario vmm <<<"$job"
    : >"$LOGS/$tag.log"
    on_begin "$tag"
    busybox sh "$LAB/run_scenario.sh" "$scenario" "$vmm" "$LOGS/$tag.log" \
      </dev/null >"$LOGS/$tag.result" || true
    on_end "$tag"
  done
}

# Boots L1 as often as it takes. That L1 dies says nothing about the job: it gets another L1.
run_nested() {
  local pending=("$@") died=0
  while ((${#pending[@]})); do
    FINISHED=0
    run_l1 "${pending[@]:0:L1_JOBS}"
    # Those that it died of before are over: each has lives of its own.
    ((FINISHED == 0)) || died=0
    if [[ -z $LOST ]]; then
      died=0
    elif ((++died < L1_LIVES)); then
      note "L1 died during ${LOST% -}; again in a new one"
    elif [[ $LOST == - ]]; then
      tail -n 20 "$LOGS/qemu.log" "$LOGS/l1.log" >&2 || true
      die "L1 does not come up; its console is in $LOGS/l1.log"
    else
      # Left without a result, which is a failure.
      FINISHED=$((FINISHED + 1))
      died=0
      on_end "$LOST"
    fi
    pending=("${pending[@]:FINISHED}")
  done
}

# One boot of L1. Sets FINISHED, how many of the jobs are over, and LOST, if L1 died: the tag of the
# job that ran then, or - if none did.
run_l1() {
  local job tag ports=() line word rest deadline=0 cpu seen=()
  local overlay=$LAB_WORK/overlay
  mkdir -p "$overlay"
  printf '%s\n' "$@" >"$overlay/jobs"
  pack_initramfs "$overlay" "$LAB_WORK/jobs.cpio"
  local parts=("$LAB_WORK/l1.cpio" "$LAB_WORK/jobs.cpio")
  ! needs cards "$@" || parts+=("$LAB_WORK/l1-network.cpio")
  ! needs streams "$@" || parts+=("$LAB_WORK/l1-streams.cpio")
  ! needs vsock "$@" || parts+=("$LAB_WORK/l1-vsock.cpio")
  cat "${parts[@]}" >"$LAB_WORK/l1.image"
  for job in "$@"; do
    tag=${job%% *}
    : >"$LOGS/$tag.log"
    # A virtio console for each: QEMU drops the messages that announce ports when one has many.
    ports+=(-chardev "file,id=$tag,path=$LOGS/$tag.log"
      -device "virtio-serial-pci,id=bus-$tag,max_ports=2"
      -device "virtserialport,bus=bus-$tag.0,nr=1,chardev=$tag,name=$tag")
  done
  l1_command "quiet lab.mode=run ${LAB_CPUS:+lab.cpus=$LAB_CPUS} ${LAB_MEMORY:+lab.memory=$LAB_MEMORY} \
    ${LAB_SANDBOX:+lab.sandbox=$LAB_SANDBOX}"
  # Two serial ports: the console of L1, for when it dies, and what its init reports.
  exec {reports}< <(exec "${L1_COMMAND[@]}" -serial "file:$LOGS/l1.log" -serial stdio \
    "${ports[@]}" </dev/null 2>"$LOGS/qemu.log")
  L1_PID=$!
  LOST=-
  while read -r -t "$L1_SILENCE" -u "$reports" line; do
    read -r word tag rest <<<"$line"
    case $word in
      begin)
        LOST=$tag
        # L1 ends a guest at its limit; if it does not, it is not well.
        deadline=$((SECONDS + $(scenario_value "$(job_scenario "$tag" "$@")" time_limit) + L1_SILENCE))
        on_begin "$tag"
        ;;
      end)
        printf '%s\n' "$rest" >"$LOGS/$tag.result"
        LOST=-
        deadline=0
        FINISHED=$((FINISHED + 1))
        on_end "$tag"
        ;;
      alive)
        seen[tag]=$SECONDS
        ((deadline == 0 || SECONDS < deadline)) || break
        for cpu in "${seen[@]}"; do ((SECONDS - cpu < L1_SILENCE)) || break 2; done
        ;;
      over)
        LOST=
        break
        ;;
    esac
  done
  [[ -z $LOST ]] || kill "$L1_PID" 2>/dev/null || true
  exec {reports}<&-
  wait "$L1_PID" 2>/dev/null || true
  L1_PID=
  # A job that will run again has not ended.
  [[ -z $LOST || $LOST == - ]] || on_lost "$LOST"
}

job_scenario() {
  local tag=$1 job
  shift
  for job in "$@"; do
    [[ $job != "$tag "* ]] || awk '{ print $2 }' <<<"$job"
  done
}

# lab_interactive SCENARIO: the terminal becomes the guest's. lab_interactive --l1: L1's.
lab_interactive() {
  if [[ $(lab_where) == direct ]]; then
    busybox sh "$LAB/run_interactive.sh" "$1"
    return
  fi
  cp "$LAB_WORK/l1.cpio" "$LAB_WORK/l1.image"
  if [[ $1 == --l1 ]]; then
    lab_add_network
    lab_add_streams
    lab_add_vsock
    cat "$LAB_WORK"/l1-{network,streams,vsock}.cpio >>"$LAB_WORK/l1.image"
    l1_command "quiet lab.mode=shell"
  else
    l1_command "quiet lab.mode=guest lab.scenario=$1 ${LAB_CPUS:+lab.cpus=$LAB_CPUS} ${LAB_MEMORY:+lab.memory=$LAB_MEMORY}"
  fi
  # signal=off: Ctrl-C belongs to the guest. No monitor: Ctrl-A belongs to the VMM in L1.
  "${L1_COMMAND[@]}" -serial "file:$LOGS/l1.log" -chardev stdio,id=terminal,signal=off \
    -serial chardev:terminal
}

# lab_verdict TAG SCENARIO VMM: prints PASS, or FAIL and why.
lab_verdict() {
  local tag=$1 scenario=$2 vmm=$3 exit_code want text pattern reasons=()
  local log=$LOGS/$tag.log
  if [[ ! -s $LOGS/$tag.result ]]; then
    echo "FAIL the lab was lost while it ran (see $LOGS/l1.log)"
    return
  fi
  read -r exit_code _ <"$LOGS/$tag.result"
  want=$(scenario_value "$scenario" expect_exit)
  # QEMU has one exit code for all that a guest can do.
  [[ $vmm == annulus ]] || want=0
  if [[ $exit_code == 137 ]]; then
    reasons+=("over its time limit of $(scenario_value "$scenario" time_limit) s")
  elif [[ $exit_code != "${want:-0}" ]]; then
    reasons+=("exit code $exit_code, expected ${want:-0}")
  fi
  text=$(tr -d '\r\0' <"$log")
  while IFS= read -r pattern; do
    [[ -z $pattern ]] || grep -qE -- "$pattern" <<<"$text" || reasons+=("the console lacks /$pattern/")
  done < <(scenario_value "$scenario" expect)
  if [[ $(scenario_value "$scenario" finishes) != no ]]; then
    grep -q '^lab: guest finished' <<<"$text" || reasons+=("the guest did not finish")
  fi
  pattern=$(scenario_value "$scenario" reject)
  if line=$(grep -m 1 -E -- "${pattern:-lab: FAIL|Call Trace|BUG:|Oops|Kernel panic}" <<<"$text"); then
    reasons+=("the console has: $line")
  fi
  if ((${#reasons[@]})); then
    local IFS=';'
    echo "FAIL ${reasons[*]}"
  else
    echo PASS
  fi
}
