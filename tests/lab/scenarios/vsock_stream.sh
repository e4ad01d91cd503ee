# shellcheck shell=sh disable=SC2034
description='sockets under load: 32 MiB, 500 and 1000 connections, ends that stand still or are killed; called early'
vsock=cid=3,socket=$work/vsock,pci,packed=on,connect_wait_ms=100000,listen_wait_ms=100000
time_limit=400

l1_start() {
  serve_vsock
  case $vmm in
    annulus) call_early ;;
  esac
}

guest() {
  check_vsock_device pci 1
  # Nobody listens yet: the caller of above waits.
  sleep 1
  serve_guest
  [ "$(l1 vmm)" != annulus ] || passes "$(l1 said)" 'called before the guest was up'
  check_vsock_load
}
