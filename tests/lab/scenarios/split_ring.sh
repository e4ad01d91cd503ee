# shellcheck shell=sh disable=SC2034
description='with packed=off the driver uses the split ring on both transports'
rng_options=packed=off

guest() {
  check devices "$(rng_devices | wc -l)" 2
  for device in $(rng_devices); do
    check "$device VIRTIO_F_VERSION_1" "$(feature_of "$device" 32)" 1
    check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" 0
  done
  read_each_hwrng
  grep virtio /proc/interrupts
}
