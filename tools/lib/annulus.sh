# shellcheck shell=bash
# The program itself, and those that tests put into guests.

# Sets ANNULUS, unless the caller's environment did: the optimized binary, built if need be.
ensure_annulus() {
  [[ -z ${ANNULUS:-} ]] || return 0
  build_release //cli:annulus
  ANNULUS=$RELEASE/cli/annulus
  [[ -x $ANNULUS ]] || die "the build left no $ANNULUS"
}

# Sets MICROGUEST, the guest of tests/guest, built if need be.
ensure_microguest() {
  [[ -z ${MICROGUEST:-} ]] || return 0
  build_release //tests/guest:microguest
  MICROGUEST=$RELEASE/tests/guest/microguest.elf
}

# Sets STREAM_PROGRAMS, the folder with hs_send and hs_receive, and builds these, unless it is set.
ensure_stream_programs() {
  [[ -z ${STREAM_PROGRAMS:-} ]] || return 0
  build_release //tests/guest_user:hs_send //tests/guest_user:hs_receive
  STREAM_PROGRAMS=$RELEASE/tests/guest_user
}

# Sets VSOCK_PROGRAMS, the folder with vsock_peer and libvsock_shim.so, and builds these, unless it is
# set.
ensure_vsock_programs() {
  [[ -z ${VSOCK_PROGRAMS:-} ]] || return 0
  build_release //tests/guest_user:vsock_peer //tests/guest_user:libvsock_shim.so
  VSOCK_PROGRAMS=$RELEASE/tests/guest_user
}

# build_release TARGET...: sets RELEASE, the folder that they are in.
build_release() {
  install_packages "${BUILD_PACKAGES[@]}"
  step "building $*"
  (cd "$ROOT" && bazel build --config=release --show_progress --show_progress_rate_limit=5 \
    "$@") 2>&1 | sed 's/^/   | /' || die "the build failed; Bazel says above why"
  # The release configuration has an output folder of its own; the bazel-bin link may change.
  RELEASE=$(cd "$ROOT" && bazel info --config=release bazel-bin 2>/dev/null)
}
