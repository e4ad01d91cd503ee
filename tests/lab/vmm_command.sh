# shellcheck shell=sh
# How a scenario becomes the command line of a VMM. Read by the scripts beside it, with $name and
# $LAB set; the scenario is read after it and may set any of these.

kernel=bzimage                          # Or bzimage_self, vmlinux.
cpus=${LAB_CPUS:-1}
memory=${LAB_MEMORY:-512M}
rng='mmio pci'                          # One device each; as mmio,packed=off,event_idx=off.
vmm_options=                            # More of annulus's own.
time_limit=120                          # Seconds, for the emulated lab on a loaded machine.
# Without the chatter of the kernel, whose every byte is an exit; its warnings stay.
base_cmdline="console=ttyS0 panic=-1 loglevel=6 lab.scenario=$name"
cmdline() { echo "$base_cmdline"; }

# Both replace the shell, so that the exit code is the VMM's (137 if the time limit killed it).
vmm_annulus() {
  # shellcheck disable=SC2086  # Options are words.
  set -- $vmm_options
  for device in $rng; do set -- "$@" --rng "$device"; done
  exec timeout -s KILL "$time_limit" "$LAB/annulus" run \
    --kernel "$LAB/$kernel" --initrd "$LAB/initrd" --cmdline "$(cmdline)" \
    --cpus "$cpus" --memory "$memory" --console stdio --timings "$@"
}

# The peer: the same guest under QEMU's microvm.
vmm_qemu() {
  set --
  # Options have QEMU's names, but for one; defaults are not QEMU's. The last one counts.
  for device in $rng; do
    case $device in
      mmio*) device=virtio-rng-device,packed=on${device#mmio} ;;
      pci*) device=virtio-rng-pci-non-transitional,packed=on${device#pci} ;;
    esac
    set -- "$@" -device "$(echo "$device" | sed s/ring_reset/queue_reset/)"
  done
  exec timeout -s KILL "$time_limit" "$LAB/qemu-system-x86_64" -L "$LAB/qemu-share" \
    -nodefaults -no-user-config -display none -no-reboot \
    -M microvm,accel=kvm,pcie=on,acpi=on,rtc=on -global virtio-mmio.force-legacy=false \
    -cpu host -smp "$cpus" -m "$memory" -serial stdio \
    -kernel "$LAB/$kernel" -initrd "$LAB/initrd" -append "$(cmdline)" "$@"
}
