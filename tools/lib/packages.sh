# shellcheck shell=bash
# Installs Debian packages, and only those that are missing.

# What `bazel build //...` and `bazel test //...` need.
BUILD_PACKAGES=(
  bazel-bootstrap bazel-rules-java bazel-rules-proto bazel-platforms bazel-skylib
  g++ libabsl-dev protobuf-compiler libprotobuf-dev zlib1g-dev liblz4-dev
  libspdlog-dev libfmt-dev libseccomp-dev pkg-config
  libgtest-dev libgmock-dev libbenchmark-dev
)
# What the clang configurations (sanitizers, analysis, fuzzing) and the checks of style need.
CLANG_PACKAGES=(clang libclang-rt-14-dev llvm clang-tidy clang-format shellcheck acpica-tools)
# What packs and boots guests.
GUEST_PACKAGES=(busybox-static cpio python3 lz4 xz-utils)
# What runs the lab where KVM has no hardware behind it, and the peer of the benches.
LAB_PACKAGES=(qemu-system-x86 qemu-system-data seabios)
# What guests with network cards, and the other ends of their cables, run.
NETWORK_PACKAGES=(iperf3 ethtool iproute2 passt)
# What builds the kernel's own tests of sockets, with linux-source of the guests' kernel.
VSOCK_PACKAGES=(gcc make xz-utils)
# The drivers of others: testpmd, and QEMU as a front-end.
PEER_PACKAGES=(dpdk-dev python3 util-linux qemu-system-x86 qemu-system-data seabios)

# Programs of others, against what tools/install puts in place.
INSTALL_TEST_PACKAGES=(gcc cmake make pkg-config man-db groff-base)

# Once in a process, and only when something is to be fetched.
apt_update() {
  [[ -z ${APT_UPDATED:-} ]] || return 0
  APT_UPDATED=1
  note "apt-get update"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q 2>&1 | sed 's/^/   | /' ||
    die "apt-get update failed; it says above why"
}

package_installed() {
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# install_packages NAME...
install_packages() {
  local missing=() name
  [[ $(dpkg --print-architecture 2>/dev/null) == amd64 ]] ||
    die "Annulus is built on Debian 12 amd64; this system has no dpkg of that kind"
  for name in "$@"; do
    package_installed "$name" || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  step "installing ${#missing[@]} packages: ${missing[*]}"
  apt_update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${missing[@]}" 2>&1 | sed 's/^/   | /' ||
    die "apt-get could not install them; it says above why"
}
