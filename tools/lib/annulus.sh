# shellcheck shell=bash
# The program itself.

# Sets ANNULUS, unless the caller's environment did: the optimized binary, built if need be.
ensure_annulus() {
  [[ -z ${ANNULUS:-} ]] || return 0
  install_packages "${BUILD_PACKAGES[@]}"
  step "building //cli:annulus"
  (cd "$ROOT" && bazel build --config=release --show_progress --show_progress_rate_limit=5 \
    //cli:annulus) 2>&1 | sed 's/^/   | /' || die "the build failed; Bazel says above why"
  # The release configuration has an output folder of its own; the bazel-bin link may change.
  ANNULUS=$(cd "$ROOT" && bazel info --config=release bazel-bin 2>/dev/null)/cli/annulus
  [[ -x $ANNULUS ]] || die "the build left no $ANNULUS"
}
