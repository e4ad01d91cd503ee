# shellcheck shell=bash
# Debian's cloud kernel: downloaded and unpacked into the cache, never installed on the host.

# Sets KERNEL_DIR (the unpacked package), KERNEL_RELEASE, KERNEL_IMAGE (the bzImage) and
# KERNEL_MODULES: Debian's kernel, or the newer one of a series that Debian has too (6.12). Uses what is
# cached; delete $CACHE/kernel, or $CACHE/kernel-SERIES, to get Debian's newest.
ensure_kernel() {
  local series=${1:-} base
  base=$CACHE/kernel${series:+-$series}
  if [[ ! -e $base/current/boot ]]; then
    step "downloading Debian's cloud kernel${series:+ $series}"
    fetch_kernel "$base" "linux-image-${series:+$series-}cloud-amd64"
  fi
  KERNEL_DIR=$(readlink -f "$base/current")
  KERNEL_RELEASE=$(basename "$KERNEL_DIR"/lib/modules/*)
  KERNEL_IMAGE=$KERNEL_DIR/boot/vmlinuz-$KERNEL_RELEASE
  KERNEL_MODULES=$KERNEL_DIR/lib/modules/$KERNEL_RELEASE/kernel
  [[ -r $KERNEL_IMAGE ]] || die "no kernel at $KERNEL_IMAGE; delete $base and run this again"
}

# ensure_guest_kernel: the same for guests, of series LINUX, if that is set. Sets GUEST_KERNEL_RELEASE,
# GUEST_KERNEL_IMAGE and GUEST_KERNEL_MODULES; leaves the others as they are.
ensure_guest_kernel() {
  local KERNEL_DIR KERNEL_RELEASE KERNEL_IMAGE KERNEL_MODULES
  ensure_kernel "${LINUX:-}"
  GUEST_KERNEL_RELEASE=$KERNEL_RELEASE
  GUEST_KERNEL_IMAGE=$KERNEL_IMAGE
  GUEST_KERNEL_MODULES=$KERNEL_MODULES
}

# with_guest_kernel COMMAND...: a function that takes "the kernel" for the guests'.
with_guest_kernel() {
  local KERNEL_RELEASE=$GUEST_KERNEL_RELEASE KERNEL_IMAGE=$GUEST_KERNEL_IMAGE
  local KERNEL_MODULES=$GUEST_KERNEL_MODULES
  "$@"
}

# kernel_package METAPACKAGE: that names today's kernel, which holds the files.
kernel_package() {
  apt-cache depends "$1" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

fetch_kernel() {
  local base=$1 meta=$2 package work
  package=$(kernel_package "$meta")
  if [[ -z $package ]]; then
    apt_update
    package=$(kernel_package "$meta")
  fi
  [[ -n $package ]] || die "apt knows no $meta: is this Debian 12 with a network?"
  mkdir -p "$base"
  work=$(mktemp -d "$base/fetch.XXXXXX")
  # A stale package list names a file that is gone from the mirror; a fresh one helps.
  download_package "$package" "$work" || { apt_update && download_package "$(kernel_package "$meta")" "$work"; } ||
    die "could not download $package"
  dpkg-deb -x "$work"/*.deb "$work/root"
  rm -rf "${base:?}/$package"
  mv "$work/root" "$base/$package"
  ln -sfn "$package" "$base/current"
  rm -rf "$work"
}

# download_package NAME FOLDER. APT::Sandbox::User: the folder belongs to us and not to _apt.
download_package() (
  cd "$2" && apt-get -o APT::Sandbox::User=root download "$1" 2>&1 | sed 's/^/   | /'
)

# ensure_vmlinux: sets VMLINUX, the ELF kernel inside of Debian's bzImage.
ensure_vmlinux() {
  VMLINUX=$CACHE/kernel/vmlinux-$KERNEL_RELEASE
  [[ -r $VMLINUX && $VMLINUX -nt $KERNEL_IMAGE ]] && return 0
  note "extracting vmlinux from Debian's bzImage"
  /usr/bin/python3 "$ROOT/tools/lib/extract_vmlinux.py" "$KERNEL_IMAGE" "$VMLINUX.tmp"
  mv "$VMLINUX.tmp" "$VMLINUX"
}
