# shellcheck shell=sh disable=SC2034
description='a network card over virtio-pci with packed rings: ping, TCP, UDP, a file both ways, each offload off and on'
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=on
time_limit=300

# check_frames NAME DIRECTION large|small OPTION...: that TCP crosses the card in frames that an
# Ethernet could not carry, or only in others. TCP may have to start slowly: so it has three tries to
# show large ones.
check_frames() {
  frames_name=$1 direction=$2 size=$3 tries=3 found=
  shift 3
  until [ "$found" = "$size" ] || [ $tries = 0 ]; do
    packets=$(statistic "${direction}_packets")
    bytes=$(statistic "${direction}_bytes")
    check_tcp "$frames_name" 2 "$@"
    packets=$(($(statistic "${direction}_packets") - packets))
    average=$((($(statistic "${direction}_bytes") - bytes) / (packets + 1)))
    [ $average -gt 1514 ] && found=large || found=small
    [ "$size" = large ] && tries=$((tries - 1)) || tries=0
  done
  check "$frames_name: frames of $average bytes" "$found" "$size"
}

# switch_offload NAME on|off LONG_NAME
switch_offload() {
  ethtool -K eth0 "$1" "$2"
  check "ethtool -k: $1" "$(ethtool -k eth0 | sed -n "s/^$3: \([a-z]*\).*/\1/p")" "$2"
}

guest() {
  check_card pci 1
  check_network

  check_frames 'TCP sent with TSO' tx large
  check_frames 'TCP received with large receive' rx large -R
  switch_offload tso off tcp-segmentation-offload
  switch_offload gso off generic-segmentation-offload
  check_frames 'TCP sent without TSO and GSO' tx small
  switch_offload rx-gro-hw off rx-gro-hw
  check_frames 'TCP received without large receive' rx small -R
  switch_offload gro off generic-receive-offload
  check_tcp 'TCP received without GRO' 2 -R
  switch_offload tx off tx-checksumming
  check_tcp 'TCP sent without checksum offload' 2
  check_file 1
  switch_offload tx on tx-checksumming
  switch_offload tso on tcp-segmentation-offload
  switch_offload gso on generic-segmentation-offload
  switch_offload gro on generic-receive-offload
  switch_offload rx-gro-hw on rx-gro-hw
  check_frames 'TCP sent with TSO again' tx large
  check_frames 'TCP received with large receive again' rx large -R
}
