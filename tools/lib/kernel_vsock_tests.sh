# shellcheck shell=bash
# The kernel's own tests of sockets, tools/testing/vsock, from Debian's source package: built as they
# are, into the cache. Those of the guests' kernel: what they expect changes with it.

# Sets KERNEL_VSOCK_TESTS, the folder with vsock_test and vsock_diag_test. Uses what is cached until
# there is another source package.
ensure_kernel_vsock_tests() {
  local package=linux-source-${LINUX:-6.1} work
  install_packages "$package" "${VSOCK_PACKAGES[@]}"
  KERNEL_VSOCK_TESTS=$CACHE/vsock-tests/$(dpkg-query -W -f '${Version}' "$package")
  [[ ! -x $KERNEL_VSOCK_TESTS/vsock_test || ! -x $KERNEL_VSOCK_TESTS/vsock_diag_test ]] || return 0
  step "building the kernel's tests of vsock ($(basename "$KERNEL_VSOCK_TESTS"))"
  mkdir -p "$CACHE/vsock-tests"
  work=$(mktemp -d "$CACHE/vsock-tests/build.XXXXXX")
  tar -C "$work" --strip-components=1 --wildcards -xJf "/usr/src/$package.tar.xz" \
    '*/tools/testing/vsock/*' '*/tools/include/*' '*/tools/arch/x86/include/*'
  make -C "$work/tools/testing/vsock" vsock_test vsock_diag_test 2>&1 | sed 's/^/   | /' ||
    die "the kernel's tests of vsock cannot be built; make says above why"
  rm -rf "$KERNEL_VSOCK_TESTS"
  mv "$work/tools/testing/vsock" "$KERNEL_VSOCK_TESTS"
  rm -rf "$work"
}
