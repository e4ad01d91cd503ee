# shellcheck shell=sh disable=SC2034
description='devices that other processes serve, packed rings: a card, sockets, random bytes; each is killed and goes on'
cards=vhost-user=$work/net.device,packed=on
vsock=vhost-user=$work/vsock.device,packed=on
rng=vhost-user=$work/rng.device,listen,packed=on
external="net net --socket $work/net.device --backend tap=tap0,mac=52:54:00:12:34:56
vsock vsock --socket $work/vsock.device --backend cid=3,socket=$work/vsock
rng rng --connect $work/rng.device"
only_annulus=yes
time_limit=300

l1_start() { serve_vsock; }

guest() {
  # shellcheck source=tests/lab/guest/external.sh
  . /external.sh
  check_external_devices 1 16 1
}
