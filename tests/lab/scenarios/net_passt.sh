# shellcheck shell=sh disable=SC2034
description='a network card whose cable is passt, run by an unprivileged user: TCP to a server on the host'
cards=passt=/tmp/passt/socket,mac=52:54:00:12:34:56,pci,packed=on
# Under QEMU 7.2 what the guest sends soon comes to a stop.
only_annulus=yes
time_limit=300

# passt takes addresses and routes for the guest from an interface with a default route.
l1_start() {
  ip link add host0 type dummy
  ip address add 192.0.2.10/24 dev host0
  ip link set host0 up
  ip route add default via 192.0.2.1
  mkdir -p /tmp/passt
  chmod 777 /tmp/passt
  start unprivileged "$LAB/network/passt" --foreground --socket /tmp/passt/socket
  tries=100
  until [ -S /tmp/passt/socket ] || [ $((tries -= 1)) = 0 ]; do sleep 0.1; done
  start iperf3 -s
}

# Root of a namespace of a user's own is none.
l1_passt_user() {
  uid=$(awk '/^Uid:/ { print $3 }' "/proc/$(pidof passt)/status")
  if [ "$uid" = 0 ] && [ "$LAB_NAMESPACE" = root ]; then echo privileged; else echo unprivileged; fi
}

guest() {
  device=$(card_device)
  check "$device VIRTIO_F_RING_PACKED" "$(feature_of "$device" 34)" 1
  check 'the user of passt' "$(l1 passt_user)" unprivileged
  ip link set eth0 up
  await_value carrier 1 cat /sys/class/net/eth0/carrier
  udhcpc -i eth0 -n -q -s /net/dhcp.sh -t 5 || fail 'DHCP'
  check 'address by DHCP' "$(ip -4 -o address show dev eth0 | awk '{ print $4 }')" 192.0.2.10/24
  # The gateway's address leads to the host's own.
  server=192.0.2.1
  check_file 2
  check_tcp 'TCP sent' 4
  check_tcp 'TCP received' 4 -R
  check_udp 'UDP sent'
}
