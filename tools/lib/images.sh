# shellcheck shell=bash
# Makes the initial RAM file systems of guests, as plain cpio: decompression would be emulated.

# pack_initramfs FOLDER FILE
pack_initramfs() {
  (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2"
}

# add_modules FOLDER NAME...: kernel modules without their paths; names are those of the files.
# A module that this kernel has built in is not there, and not missed.
add_modules() {
  local folder=$1 name file
  shift
  mkdir -p "$folder"
  for name in "$@"; do
    file=$(find "$KERNEL_MODULES" \( -name "$name.ko" -o -name "$name.ko.xz" \) -print -quit)
    case $file in
      *.xz) xz -dc "$file" >"$folder/$name.ko" ;;
      ?*) cp "$file" "$folder/" ;;
    esac
  done
}

# add_program FOLDER FILE NAME: copies FILE to FOLDER/NAME and its shared libraries to where the
# loader looks for them.
add_program() {
  local root=$1 file=$2 name=$3 library
  install -D "$file" "$root/$name"
  # "linux-vdso.so.1 (0x..)" has no file; "/lib64/ld-linux.. (0x..)" has no arrow.
  while read -r library; do
    [[ -e $root$library ]] || install -D "$(readlink -f "$library")" "$root$library"
  done < <(ldd "$file" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p')
}

# What network cards take, in order of dependence; pktgen is loaded by who wants it.
GUEST_NETWORK_MODULES=(failover net_failover virtio_net llc stp garp mrp 8021q)
L1_NETWORK_MODULES=(tun tap vhost_iotlb vhost vhost_net dummy llc stp garp mrp 8021q)

# make_guest_network FILE: what is appended to a guest's initrd for network cards; most of it is
# libcrypto, which iperf3 is linked with.
make_guest_network() {
  local root program
  root=$(mktemp -d "$CACHE/network.XXXXXX")
  install -D -m 644 "$ROOT/tests/lab/guest/net.sh" "$root/net/lib.sh"
  install "$ROOT/tests/lab/guest/dhcp.sh" "$root/net/dhcp.sh"
  for program in ip iperf3 ethtool; do
    add_program "$root" "$(program_file "$program")" "net/$program"
  done
  add_modules "$root/modules" "${GUEST_NETWORK_MODULES[@]}" pktgen
  printf '%s\n' "${GUEST_NETWORK_MODULES[@]}" >"$root/net/modules"
  pack_initramfs "$root" "$1"
  rm -rf "$root"
}

# make_guest_streams FILE: what is appended to that for scenarios with streams. Needs STREAM_PROGRAMS.
make_guest_streams() {
  local root
  root=$(mktemp -d "$CACHE/streams.XXXXXX")
  add_program "$root" "$STREAM_PROGRAMS/hs_receive" net/hs_receive
  pack_initramfs "$root" "$1"
  rm -rf "$root"
}

# What sockets take; and in L1 QEMU's peer, where the host's end is the kernel's. The virtio transport
# is the last, so that a guest has its device when it has its modules.
GUEST_VSOCK_MODULES=(vsock vsock_diag vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport)
L1_VSOCK_MODULES=(vhost_iotlb vhost vsock vsock_diag vmw_vsock_virtio_transport_common vhost_vsock)

# make_guest_vsock FILE: what is appended to a guest's initrd for a socket device. Needs
# VSOCK_PROGRAMS and KERNEL_VSOCK_TESTS.
make_guest_vsock() {
  local root program
  root=$(mktemp -d "$CACHE/vsock.XXXXXX")
  install -D -m 644 "$ROOT/tests/lab/guest/vsock.sh" "$root/vsock/lib.sh"
  install "$ROOT/tests/lab/kernel_test.sh" "$root/vsock/kernel_test.sh"
  add_program "$root" "$VSOCK_PROGRAMS/vsock_peer" vsock/vsock_peer
  for program in vsock_test vsock_diag_test; do
    add_program "$root" "$KERNEL_VSOCK_TESTS/$program" "vsock/$program"
  done
  add_modules "$root/modules" "${GUEST_VSOCK_MODULES[@]}"
  printf '%s\n' "${GUEST_VSOCK_MODULES[@]}" >"$root/vsock/modules"
  pack_initramfs "$root" "$1"
  rm -rf "$root"
}

# program_file NAME: its file, also for a user whose PATH lacks the folders of root's programs.
program_file() {
  readlink -f "$(PATH=$PATH:/usr/sbin:/sbin command -v "$1")"
}

# make_guest_initrd FILE: /init, busybox, the virtio modules and the guest halves of all scenarios.
make_guest_initrd() {
  local root
  root=$(mktemp -d "$CACHE/initrd.XXXXXX")
  install -D /bin/busybox "$root/bin/busybox"
  install "$ROOT/tests/lab/guest/init" "$root/init"
  install -m 644 "$ROOT/tests/lab/guest/lib.sh" "$root/lib.sh"
  install -m 644 "$ROOT/tests/lab/guest/external.sh" "$root/external.sh"
  mkdir -p "$root/scenarios" "$root/dev" "$root/proc" "$root/sys"
  cp "$ROOT"/tests/lab/scenarios/*.sh "$root/scenarios/"
  add_modules "$root/modules" virtio_ring virtio virtio_mmio virtio_pci_modern_dev \
    virtio_pci_legacy_dev virtio_pci virtio-rng evdev button
  pack_initramfs "$root" "$1"
  rm -rf "$root"
}
