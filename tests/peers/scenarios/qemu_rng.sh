# shellcheck shell=sh disable=SC2034
description='QEMU: an entropy device; random bytes reach the guest'
back_ends='rng rng'
qemu_devices='-device vhost-user-rng-pci,chardev=rng,vectors=0'

guest() { read_each_hwrng 16; }
