# shellcheck shell=sh disable=SC2034
description='the stock driver reads from sixteen devices: packed x event_idx x indirect_desc on each transport'
# Every other device has the transport's own features switched off too.
rng=
for transport in mmio pci; do
  own=on
  for packed in on off; do
    for event_idx in on off; do
      for indirect_desc in on off; do
        rng="$rng $transport,packed=$packed,event_idx=$event_idx,indirect_desc=$indirect_desc,ring_reset=$own"
        if [ $own = on ]; then own=off; else own=on; fi
      done
    done
  done
done

# option_of SPEC NAME: 1 or 0.
option_of() {
  case ,$1, in
    *,"$2=on",*) echo 1 ;;
    *) echo 0 ;;
  esac
}

guest() {
  check devices "$(rng_devices | wc -l)" 16
  index=0
  for spec in $rng; do
    device=virtio$index
    check "$device over" "$(transport_of "$device")" "${spec%%,*}"
    check "$device VIRTIO_F_VERSION_1" "$(feature_of "$device" 32)" 1
    check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" "$(option_of "$spec" packed)"
    check "$device VIRTIO_F_EVENT_IDX" "$(feature_of "$device" 29)" "$(option_of "$spec" event_idx)"
    check "$device VIRTIO_F_INDIRECT_DESC" "$(feature_of "$device" 28)" \
      "$(option_of "$spec" indirect_desc)"
    # Linux resets queues over PCI only.
    case $spec in
      pci,*) check "$device VIRTIO_F_RING_RESET" "$(feature_of "$device" 40)" \
        "$(option_of "$spec" ring_reset)" ;;
    esac
    index=$((index + 1))
  done
  # 64 bytes a buffer: each ring of 256 goes round more than twice.
  read_each_hwrng 40
  grep virtio /proc/interrupts
}
