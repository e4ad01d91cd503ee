# shellcheck shell=sh
# How a scenario becomes the command line of a VMM. Read by the scripts beside it, with $name and
# $LAB set; the scenario is read after it and may set any of these.

kernel=bzimage                          # Or bzimage_self, vmlinux.
cpus=${LAB_CPUS:-1}
memory=${LAB_MEMORY:-512M}
rng='mmio pci'                          # One device each.
rng_options=                            # As packed=off; behind each transport.
vmm_options=                            # More of annulus's own.
time_limit=120                          # Seconds, for the emulated lab on a loaded machine.
# Without the chatter of the kernel, whose every byte is an exit; its warnings stay.
base_cmdline="console=ttyS0 panic=-1 loglevel=6 lab.scenario=$name"
cmdline() { echo "$base_cmdline"; }

# Both replace the shell, so that the exit code is the VMM's (137 if the time limit killed it).
vmm_annulus() {
  # shellcheck disable=SC2086  # Options are words.
  set -- $vmm_options
  for transport in $rng; do
    set -- "$@" --rng "$transport${rng_options:+,$rng_options}"
  done
  exec timeout -s KILL "$time_limit" "$LAB/annulus" run \
    --kernel "$LAB/$kernel" --initrd "$LAB/initrd" --cmdline "$(cmdline)" \
    --cpus "$cpus" --memory "$memory" --console stdio --timings "$@"
}

# The peer: the same guest under QEMU's microvm.
vmm_qemu() {
  packed=on
  [ "$rng_options" = packed=off ] && packed=off
  set --
  for transport in $rng; do
    case $transport in
      mmio) set -- "$@" -device "virtio-rng-device,packed=$packed" ;;
      pci) set -- "$@" -device "virtio-rng-pci-non-transitional,packed=$packed" ;;
    esac
  done
  exec timeout -s KILL "$time_limit" "$LAB/qemu-system-x86_64" -L "$LAB/qemu-share" \
    -nodefaults -no-user-config -display none -no-reboot \
    -M microvm,accel=kvm,pcie=on,acpi=on,rtc=on -global virtio-mmio.force-legacy=false \
    -cpu host -smp "$cpus" -m "$memory" -serial stdio \
    -kernel "$LAB/$kernel" -initrd "$LAB/initrd" -append "$(cmdline)" "$@"
}
