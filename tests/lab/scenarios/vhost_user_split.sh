# shellcheck shell=sh disable=SC2034
description='devices that other processes serve, split rings over MMIO: each is killed many times'
cards=vhost-user=$work/net.device,listen,mmio,packed=off
vsock=vhost-user=$work/vsock.device,listen,mmio,packed=off
rng=vhost-user=$work/rng.device,mmio,packed=off
external="net net --connect $work/net.device --backend tap=tap0,mac=52:54:00:12:34:56
vsock vsock --connect $work/vsock.device --backend cid=3,socket=$work/vsock
rng rng --socket $work/rng.device"
only_annulus=yes
slow=yes
time_limit=400

l1_start() { serve_vsock; }

guest() {
  # shellcheck source=tests/lab/guest/external.sh
  . /external.sh
  check_external_devices 0 48 5
}
