# shellcheck shell=sh disable=SC2034
description='the stock driver negotiates the packed ring on both transports and gets interrupts'

guest() {
  check devices "$(rng_devices | wc -l)" 2
  for device in $(rng_devices); do
    echo "$device over $(transport_of "$device"): features $(cat "/sys/bus/virtio/devices/$device/features")"
    check "$device VIRTIO_F_VERSION_1" "$(feature_of "$device" 32)" 1
    check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" 1
    check "$device VIRTIO_F_EVENT_IDX" "$(feature_of "$device" 29)" 1
    check "$device VIRTIO_F_INDIRECT_DESC" "$(feature_of "$device" 28)" 1
  done
  read_each_hwrng
  grep virtio /proc/interrupts
}
