# shellcheck shell=sh
# How a scenario becomes the command line of a VMM. Read by the scripts beside it, with $name and
# $LAB set; the scenario is read after it and may set any of these.

kernel=bzimage                          # Or bzimage_self, vmlinux.
cpus=${LAB_CPUS:-1}
memory=${LAB_MEMORY:-512M}
rng='mmio pci'                          # One device each; as mmio,packed=off,event_idx=off.
cards=                                  # Of a network: annulus's --net, one word each.
vsock=                                  # The socket device: annulus's --vsock.
external=                               # Processes that serve devices: external.sh.
streams=                                # yes: hs_receive in the guest, hs_send beside the VMM.
initrd=$LAB/initrd
vmm_options=                            # More of annulus's own.
jail=                                   # In one, with these flags of annulus jail.
time_limit=120                          # Seconds, for the emulated lab on a loaded machine.
# Without the chatter of the kernel, whose every byte is an exit; its warnings stay.
base_cmdline="console=ttyS0 panic=-1 loglevel=6 lab.scenario=$name"
cmdline() { echo "$base_cmdline"; }

# Both replace the shell, so that the exit code is the VMM's (137 if the time limit killed it).
vmm_annulus() {
  # shellcheck disable=SC2086  # Options are words.
  set -- $vmm_options
  for device in $rng; do set -- "$@" --rng "$device"; done
  for card in $cards; do set -- "$@" --net "$card"; done
  [ -z "$vsock" ] || set -- "$@" --vsock "$vsock"
  [ -z "$LAB_SANDBOX" ] || set -- "$@" --sandbox "$LAB_SANDBOX"
  # shellcheck disable=SC2086  # Options are words.
  exec timeout -s KILL "$time_limit" "$LAB/annulus" ${jail:+jail $jail} run \
    --kernel "$LAB/$kernel" --initrd "$initrd" --cmdline "$(cmdline)" \
    --cpus "$cpus" --memory "$memory" --console stdio --timings "$@"
}

# What QEMU says for one word of cards: sets netdev and device, without their ids.
qemu_card() {
  netdev='' backend='' device=''
  for option in $(echo "$1" | tr , ' '); do
    case $option in
      mmio) device=virtio-net-device,packed=on$device ;;
      pci) device=virtio-net-pci-non-transitional,romfile=,packed=on$device ;;
      tap=*) backend=tap,ifname=${option#tap=},script=no,downscript=no,vhost=$vhost ;;
      passt=*) backend=stream,server=off,addr.type=unix,addr.path=${option#passt=} ;;
      queues=1) ;;
      queues=*)
        netdev=$netdev,$option
        device=$device,mq=on
        case $device in
          *pci*) device=$device,vectors=$((2 * ${option#queues=} + 2)) ;;
        esac
        ;;
      mtu=*) device=$device,host_$option ;;
      *) device=$device,$option ;;
    esac
  done
  netdev=$backend$netdev
}

# What QEMU says for vsock: the host's end is the kernel's, and has split rings only.
qemu_vsock() {
  device='vhost-vsock-device'
  for option in $(echo "$1" | tr , ' '); do
    case $option in
      pci) device='vhost-vsock-pci-non-transitional' ;;
      cid=*) cid=${option#cid=} ;;
    esac
  done
  device=$device,guest-cid=$cid
}

# The peer: the same guest under QEMU's microvm.
vmm_qemu() {
  vhost=${vhost:-off}
  set --
  # Options have QEMU's names, but for one; defaults are not QEMU's. The last one counts.
  for device in $rng; do
    case $device in
      mmio*) device=virtio-rng-device,packed=on${device#mmio} ;;
      pci*) device=virtio-rng-pci-non-transitional,packed=on${device#pci} ;;
    esac
    set -- "$@" -device "$(echo "$device" | sed s/ring_reset/queue_reset/)"
  done
  for card in $cards; do
    qemu_card "$card"
    set -- "$@" -netdev "$netdev,id=net$#" -device "$device,netdev=net$#"
  done
  if [ -n "$vsock" ]; then
    qemu_vsock "$vsock"
    set -- "$@" -device "$device"
  fi
  exec timeout -s KILL "$time_limit" "$LAB/qemu-system-x86_64" -L "$LAB/qemu-share" \
    -nodefaults -no-user-config -display none -no-reboot \
    -M microvm,accel=kvm,pcie=on,acpi=on,rtc=on -global virtio-mmio.force-legacy=false \
    -cpu host -smp "$cpus" -m "$memory" -serial stdio \
    -kernel "$LAB/$kernel" -initrd "$initrd" -append "$(cmdline)" "$@"
}

# The same, with the kernel's vhost_net in place of QEMU's own network card.
vmm_qemu_vhost() {
  vhost=on
  vmm_qemu
}
