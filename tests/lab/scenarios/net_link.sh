# shellcheck shell=sh disable=SC2034
description='a network card: MTU 9000, receive filter, VLAN, another MAC address, link down and up, driver away and back, DHCP'
cards=tap=tap0,mac=52:54:00:12:34:56,mtu=9000,pci,packed=on
time_limit=300

# received_of NAME COMMAND...: how many frames the card let in while L1 ran that.
received_of() {
  before=$(statistic rx_packets)
  l1 "$@"
  echo $(($(statistic rx_packets) - before))
}

# check_filter NAME ADDRESS in|out: L1 sends twenty frames for it. There may be a few others.
check_filter() {
  frames=$(received_of send "$2" 20)
  [ "$frames" -ge 20 ] && found=in || found=out
  check "$1 ($frames frames)" "$found" "$3"
}

carrier() { cat /sys/class/net/eth0/carrier; }

guest() {
  check_card pci 1
  device=$(card_device)
  check "$device VIRTIO_NET_F_MTU" "$(feature_of "$device" 3)" 1
  check 'MTU' "$(cat /sys/class/net/eth0/mtu)" 9000
  configure_card
  check_ping 10.0.0.1 20 -s 8972
  check 'IP fragments' "$(awk '/^Ip: [0-9]/ { print $17 + $19 }' /proc/net/snmp)" 0
  check_tcp 'TCP sent' 4
  check_tcp 'TCP received' 4 -R

  # L1 knows who has these addresses: the card decides.
  check_filter 'to another station' 10.0.0.99 out
  ip link set eth0 promisc on
  check_filter 'to another station, promiscuous' 10.0.0.99 in
  ip link set eth0 promisc off
  check_filter 'to another station again' 10.0.0.99 out
  check_filter 'to a group' 239.1.2.3 out
  echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts
  ip address add 239.1.2.3/32 dev eth0 autojoin
  check_filter 'to a group that was joined' 239.1.2.3 in
  check 'answers of the group' "$(l1 ping 239.1.2.3 10)" 10
  ip address del 239.1.2.3/32 dev eth0
  check_filter 'to a group that was left' 239.1.2.3 out
  ip link set eth0 allmulticast on
  check_filter 'to a group, all of them' 239.1.2.3 in
  ip link set eth0 allmulticast off

  l1 ip link add link tap0 name tap0.5 type vlan id 5
  l1 ip address add 10.5.0.1/24 dev tap0.5
  l1 ip link set tap0.5 up
  l1 ip neigh replace 10.5.0.2 lladdr 52:54:00:12:34:56 dev tap0.5
  check_filter 'to VLAN 5 before it is there' 10.5.0.2 out
  ip link add link eth0 name eth0.5 type vlan id 5
  ip address add 10.5.0.2/24 dev eth0.5
  ip link set eth0.5 up
  check_ping 10.5.0.1 20
  check_filter 'to VLAN 5' 10.5.0.2 in
  ip link del eth0.5
  check_filter 'to VLAN 5 when it is gone' 10.5.0.2 out

  ip link set eth0 address 52:54:00:ab:cd:ef
  check_ping 10.0.0.1 20
  check 'neighbour in L1' "$(l1 station 10.0.0.2)" 52:54:00:ab:cd:ef
  check_tcp 'TCP received, another MAC address' 2 -R

  # QEMU's card does not look at its tap's link.
  if [ "$(l1 vmm)" = annulus ]; then
    l1 ip link set tap0 down
    await_value 'carrier, link down' 0 carrier
    l1 ip link set tap0 up
    await_value 'carrier, link up' 1 carrier
    l1 ip address replace fd00::1/64 dev tap0 nodad
    check_ping 10.0.0.1 20
  fi
  ip link set eth0 down
  ip link set eth0 up
  await_value 'carrier, interface up again' 1 carrier
  check_ping 10.0.0.1 20

  for round in 1 2 3; do
    echo "$device" >/sys/bus/virtio/drivers/virtio_net/unbind
    check "interfaces without driver, round $round" "$(ls /sys/class/net)" lo
    echo "$device" >/sys/bus/virtio/drivers/virtio_net/bind
    check "MAC address, round $round" "$(cat /sys/class/net/eth0/address)" 52:54:00:12:34:56
  done
  l1 dhcp
  ip link set eth0 up
  await_value carrier 1 carrier
  udhcpc -i eth0 -n -q -s /net/dhcp.sh -t 5 || fail 'DHCP'
  check 'address by DHCP' "$(ip -4 -o address show dev eth0 | awk '{ print $4 }')" 10.0.0.77/24
  check_ping 10.0.0.1 20
  check_file 1
}

# send ADDRESS COUNT: echo requests, to a group or to a station of whose address there is no doubt.
l1_send() {
  case $1 in
    10.0.0.99) ip neigh replace 10.0.0.99 lladdr 52:54:00:00:00:99 dev tap0 ;;
    239.*) ip route replace 239.0.0.0/8 dev tap0 ;;
  esac
  ping -q -c "$2" -i 0.02 -W 1 "$1" >/dev/null
  return 0
}

# station ADDRESS: the MAC address that L1 knows for it.
l1_station() { ip -4 neigh show "$1" | sed -n 's/.*lladdr \([^ ]*\).*/\1/p'; }

l1_dhcp() {
  cat >"$work/udhcpd.conf" <<CONF
start 10.0.0.77
end 10.0.0.77
interface tap0
pidfile $work/udhcpd.pid
lease_file $work/leases
option subnet 255.255.255.0
CONF
  : >"$work/leases"
  start udhcpd -f "$work/udhcpd.conf"
}
