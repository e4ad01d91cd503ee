#!/bin/bash
# shellcheck disable=SC2317  # Functions are called by verdict.
# Installs Annulus into a temporary prefix and uses it as others do: programs in C and C++ outside of the
# tree, which know nothing of it but what pkg-config and CMake say, boot a guest; manual pages and completion
# are there; nothing of the machine that built it is inside.
#
# Prints "PASS case" or "FAIL case" for each, and fails if one failed. It is no Bazel test, since it builds
# with what users have.

# shellcheck source=tools/lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib/common.sh"
for part in packages annulus library_files; do
  # shellcheck source=/dev/null
  source "$ROOT/tools/lib/$part.sh"
done
set +e

failed=0
# verdict CASE COMMAND...: passed if the command succeeds; else what it said is shown.
verdict() {
  local name=$1
  shift
  if "$@" >"$WORK/output" 2>&1; then
    echo "PASS $name"
  else
    echo "FAIL $name"
    tail -n 30 "$WORK/output" | sed 's/^/     /'
    failed=1
  fi
}

# expect TEXT COMMAND...: it succeeds, and its output has that text. What it says of errors and events stays
# apart: it may come in the middle of a guest's line.
expect() {
  local text=$1 output
  shift
  output=$("$@" 2>"$WORK/errors") && [[ $output == *"$text"* ]] && return
  printf '%s\n' "$output"
  cat "$WORK/errors"
  return 1
}

# boots CASE TEXT COMMAND...: a guest runs, and prints that.
boots() {
  if [[ -r /dev/kvm && -w /dev/kvm ]]; then
    verdict "$1" expect "${@:2}"
  else
    echo "     skipped: $1: no guest can run: /dev/kvm"
  fi
}

# of_c COMPILER FLAG...: as strict as C knows.
of_c() { "$@" -std=c11 -D_GNU_SOURCE -pedantic -Wall -Wextra -Werror; }

install_twice() {
  "$ROOT/tools/install" "$WORK/first/usr" && (cd "$WORK/first" && find . | sort) >"$WORK/list" &&
    "$ROOT/tools/install" "$WORK/first/usr" && (cd "$WORK/first" && find . | sort) >"$WORK/list2" &&
    diff "$WORK/list" "$WORK/list2"
}

same_by_destdir() {
  "$ROOT/tools/install" --destdir "$WORK/packaging" /opt/annulus &&
    diff -r "$WORK/packaging/opt/annulus" "$WORK/first/usr"
}

# The C API is for ever: what is exported is what c_symbols.txt says, and each under its version.
c_symbols() {
  nm -D --with-symbol-versions --defined-only "$PREFIX/lib/libannulus.so" |
    sed -n 's/.* T \(annulus_[^ ]*\)$/\1/p' | sort >"$WORK/symbols"
  diff "$ROOT/tests/install/c_symbols.txt" "$WORK/symbols"
}

# All others are annulus::, under the version that they are bound to.
other_symbols() {
  local others
  others=$(nm -D --with-symbol-versions --defined-only "$PREFIX/lib/libannulus.so" | c++filt |
    grep -vE ' [A-Z] annulus_|@@ANNULUS_CXX_0\.1$| A ANNULUS_')
  [[ -z $others ]] || { echo "$others" && return 1; }
}

# hardened FILE: read-only relocations, bound at once, no executable stack.
hardened() {
  local headers
  headers=$(readelf -lWd "$1") || return
  [[ $headers == *GNU_RELRO* && $headers == *BIND_NOW* && ! $headers =~ GNU_STACK[^$'\n']*RWE ]] ||
    { echo "$headers" && return 1; }
}

# No header of the prefix needs one that is not there, or another before it.
headers_stand_alone() {
  local header
  while read -r header; do
    echo "#include \"$header\""
  done < <(cd "$PREFIX/include/annulus" && find . -name '*.h' | sed 's|^\./||' | sort) >"$WORK/all.cc"
  # shellcheck disable=SC2046  # Flags are words.
  g++ -Wall -Wextra -Werror -fsyntax-only $(pkg-config --cflags annulus-c++) "$WORK/all.cc"
}

nothing_of_this_machine() {
  local found
  found=$(grep -rlaF -e "$ROOT" -e "$WORK" -e "$RELEASE" -e '/execroot/' "$PREFIX" --exclude-dir=doc)
  [[ -z $found ]] || { echo "$found" && return 1; }
}

man_pages() {
  local page
  for page in "$PREFIX"/share/man/man1/*.1; do
    MANROFFSEQ='' LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings=all -E UTF-8 -l -Tutf8 -Z "$page" \
      2>&1 >/dev/null | grep . && echo "$page" && return 1
  done
  expect "annulus-device-net(1)" man -M "$PREFIX/share/man" annulus &&
    expect '--initrd FILE' man -M "$PREFIX/share/man" annulus-run
}

# completes EXPECTED WORD...: the last word is to be completed.
completes() {
  local expected=$1
  shift
  # shellcheck disable=SC2016
  expect "$expected" bash -c '
    source "$0/share/bash-completion/completions/annulus" && complete -p annulus >/dev/null || exit
    COMP_WORDS=("$0/bin/annulus" "$@") COMP_CWORD=$#
    _annulus
    echo "${COMPREPLY[*]}"' "$PREFIX" "$@"
}

completion() {
  completes device de && completes 'net vsock rng' device '' && completes --kernel run --k &&
    completes --socket device net --so && completes listen vsock l && completes run help ru
}

# The examples of the documents are the files that are compiled here.
documents() { "$ROOT/tests/install/document_test.sh"; }

build_c() {
  # shellcheck disable=SC2046
  of_c gcc "$ROOT/examples/boot_guest.c" $(pkg-config --cflags --libs annulus) -o "$WORK/c_shared"
}
build_c_static() {
  # shellcheck disable=SC2046
  of_c gcc -static "$ROOT/examples/boot_guest.c" $(pkg-config --static --cflags --libs annulus) \
    -o "$WORK/c_static"
}
build_cxx() {
  # shellcheck disable=SC2046
  g++ -Wall -Wextra -Werror "$ROOT/examples/custom_device.cc" \
    $(pkg-config --cflags --libs annulus-c++) -o "$WORK/cxx_shared"
}
build_cmake() {
  cmake -S "$WORK/consumer" -B "$WORK/cmake" -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_BUILD_TYPE=Release &&
    cmake --build "$WORK/cmake" -j 2
}
build_cmake_c_alone() {
  sed '/[.]cc/d; /minimal_vmm\|custom_device/d; s/C CXX/C/; s/Annulus::annulus/&_static/' \
    "$WORK/consumer/CMakeLists.txt" >"$WORK/other/CMakeLists.txt"
  cmake -S "$WORK/other" -B "$WORK/c_alone" -DCMAKE_PREFIX_PATH="$PREFIX" &&
    cmake --build "$WORK/c_alone"
}
refuses_other_versions() {
  sed 's/Annulus 0.1/Annulus 0.2/' "$WORK/consumer/CMakeLists.txt" >"$WORK/other/CMakeLists.txt"
  ! cmake -S "$WORK/other" -B "$WORK/other/build" -DCMAKE_PREFIX_PATH="$PREFIX"
}

install_packages "${BUILD_PACKAGES[@]}" "${INSTALL_TEST_PACKAGES[@]}"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
build_release //cli:annulus //vmm/library:libannulus.so //vmm/library:annulus_static \
  //tests/guest:microguest
guest=$RELEASE/tests/guest/microguest.elf

verdict 'install: again gives the same' install_twice
verdict 'install: --destdir gives the same' same_by_destdir
# Moved: whoever still looked for the first place would not find it.
mv "$WORK/first/usr" "$WORK/prefix"
PREFIX=$WORK/prefix
export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$PREFIX/lib
mkdir "$WORK/other"
cp -r "$ROOT/tests/install/consumer" "$WORK/consumer"
cp "$ROOT"/examples/{boot_guest.c,minimal_vmm.cc,custom_device.cc} "$WORK/consumer"
cp "$WORK"/consumer/*.c "$WORK"/consumer/*.cc "$WORK/other"
cd "$WORK" || exit 1

verdict 'library: the C API is what it was' c_symbols
verdict 'library: nothing else of it is seen but the C++ API' other_symbols
verdict 'library: hardened' hardened "$PREFIX/lib/libannulus.so"
verdict 'library: every header compiles' headers_stand_alone
verdict 'install: nothing of the machine is inside' nothing_of_this_machine
verdict 'install: the program runs' expect "annulus " "$PREFIX/bin/annulus" version
verdict 'install: a device by its name' expect 'Usage: annulus device net' \
  "$PREFIX/bin/annulus-device-net" --help
verdict 'install: manual pages' man_pages
verdict 'install: completion' completion
verdict 'C, pkg-config, shared: builds' build_c
boots 'C, pkg-config, shared: boots a guest' PASS "$WORK/c_shared" "$guest" program=hello
verdict 'C, pkg-config, static: builds' build_c_static
boots 'C, pkg-config, static: boots a guest' PASS env -u LD_LIBRARY_PATH "$WORK/c_static" "$guest" \
  program=hello
verdict 'C++, pkg-config, shared: builds' build_cxx
boots 'C++, pkg-config, shared: a guest drives a device of its own' 'metadata a is bc' \
  "$WORK/cxx_shared" "$guest" 'program=metadata pci=1 key=a' a bc
verdict 'CMake: builds' build_cmake
verdict 'CMake, a project in C alone, static: builds' build_cmake_c_alone
boots 'CMake, C: boots a guest' PASS "$WORK/cmake/boot_guest" "$guest" program=hello
boots 'CMake, C++: boots a guest' PASS "$WORK/cmake/minimal_vmm" "$guest" '' program=hello
boots 'CMake, C++, static: a guest drives a device of its own' 'metadata a is bc' \
  env -u LD_LIBRARY_PATH "$WORK/cmake/custom_device_static" "$guest" 'program=metadata pci=1 key=a' a bc
verdict 'CMake: another version is refused' refuses_other_versions
verdict 'documents: docs/embedding.md has the examples as they are, and the rest compiles' documents
exit $failed
