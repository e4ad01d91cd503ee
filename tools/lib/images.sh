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
    file=$(find "$KERNEL_MODULES" -name "$name.ko" -print -quit)
    [[ -z $file ]] || cp "$file" "$folder/"
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

# make_guest_initrd FILE: /init, busybox, the virtio modules and the guest halves of all scenarios.
make_guest_initrd() {
  local root
  root=$(mktemp -d "$CACHE/initrd.XXXXXX")
  install -D /bin/busybox "$root/bin/busybox"
  install "$ROOT/tests/lab/guest/init" "$root/init"
  install -m 644 "$ROOT/tests/lab/guest/lib.sh" "$root/lib.sh"
  mkdir -p "$root/scenarios" "$root/dev" "$root/proc" "$root/sys"
  cp "$ROOT"/tests/lab/scenarios/*.sh "$root/scenarios/"
  add_modules "$root/modules" virtio_ring virtio virtio_mmio virtio_pci_modern_dev \
    virtio_pci_legacy_dev virtio_pci virtio-rng
  pack_initramfs "$root" "$1"
  rm -rf "$root"
}
