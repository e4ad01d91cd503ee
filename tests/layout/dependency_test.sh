#!/bin/bash
# Checks the direction in which Annulus's rooms may depend on each other, which files may touch raw
# memory, and which may see KVM: the rules of ARCHITECTURE.md "Rooms"; and that classes have names of
# their own.
#
# Prints "PASS rule" or "FAIL rule" for each, and fails if one failed. It is no Bazel test, since
# Bazel cannot be asked about the build from inside of it. tests/layout/fixture breaks these rules
# on purpose: a check that does not see that is a failure too.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

failed=0
verdict() {  # NAME FINDINGS: none is a pass.
  if [[ -z $2 ]]; then
    echo "PASS $1"
  else
    echo "FAIL $1"
    printf '     %s\n' "${2//$'\n'/$'\n'     }"
    failed=1
  fi
}

query() { bazel query --noshow_progress --order_output=full "$1" 2>/tmp/dependency_query.$$; }

# Rooms that are not there yet have no targets to name.
targets() {
  local expression=() room
  for room in "$@"; do
    [[ ! -d $room ]] || expression+=("//$room/...")
  done
  local IFS=+
  echo "${expression[*]:-set()}"
}

# path FROM... -- TO...: a dependency of a room on another one, as the path from target to target.
path() {
  local from=()
  while [[ $1 != -- ]]; do
    from+=("$1")
    shift
  done
  shift
  query "somepath($(targets "${from[@]}"), $(targets "$@"))" || query_failed
}

# path_of_libraries ROOM -- ROOM...: as path, but tests may know more than what they test.
path_of_libraries() {
  local from
  from=$(targets "$1")
  shift 2
  query "somepath(kind(cc_library, $from) - attr(testonly, 1, $from), $(targets "$@"))" || query_failed
}

# direct_users TARGETS ROOM...: who depends directly on them and does not live in these rooms.
direct_users() {
  local what=$1
  shift
  query "rdeps(//..., $what, 1) except ($what + $(targets "$@"))" || query_failed
}

query_failed() {
  echo "the query itself failed:"
  grep -v '^INFO' "/tmp/dependency_query.$$"
}
trap 'rm -f /tmp/dependency_query.$$' EXIT

sources() { git ls-files --cached --others --exclude-standard -- '*.h' '*.cc'; }

# lines_with REGEX EXCEPT_FILE_REGEX: code (not comments) that matches, outside of some files.
lines_with() {
  sources | grep -vE "$2" | xargs -r grep -nE -- "$1" /dev/null | grep -vE '^[^:]*:[0-9]+: *(//|\*)'
}

fixture='^tests/layout/fixture/'

check_rooms() {
  verdict 'base depends on no other room' "$(path base -- memory devices vmm proto cli)"
  verdict 'memory depends on base alone' "$(path memory -- devices vmm proto cli)"
  verdict 'devices never see vmm, proto or cli' "$(path devices -- vmm proto cli)"
  verdict 'vmm never sees cli' "$(path vmm -- cli)"
  verdict 'proto holds schemas only' "$(path proto -- base memory devices vmm cli)"
  verdict 'only tests see tests' "$(query "somepath(
      kind('cc_(library|binary)', $(targets base memory devices vmm cli) - attr(testonly, 1, //...)),
      $(targets tests))" || query_failed)"
  # And by the tool that makes a document of it.
  verdict 'proto is read by vmm/config, vmm/control and cli alone' \
    "$(direct_users "$(targets proto)" vmm/config vmm/control cli tools/config_docs)"
}

check_virtio() {
  local virtio=devices/virtio devices=(devices/virtio/rng devices/virtio/net)
  verdict 'virtio: spec has no logic of ours behind it' \
    "$(path_of_libraries $virtio/spec -- $virtio/queue $virtio/transport $virtio/driver $virtio/worker)"
  verdict 'virtio: queues know no transport and no device' \
    "$(path_of_libraries $virtio/queue -- $virtio/transport "${devices[@]}" $virtio/worker)"
  verdict 'virtio: transports know no device' "$(path_of_libraries $virtio/transport -- "${devices[@]}")"
  verdict 'virtio: devices know no transport' "$(path_of_libraries "${devices[@]}" -- $virtio/transport)"
}

check_words() {
  verdict '<linux/kvm.h> is included in vmm/kvm alone' \
    "$(lines_with '#include <linux/kvm.h>' "^vmm/kvm/|$fixture")"
  verdict 'raw memory stays where raw_memory_allowed.txt says' \
    "$(lines_with "$raw_memory" "$(raw_memory_allowed)|_(test|fuzz|bench)\.cc$|$fixture" |
      grep -vE "$bytes_of_an_object")"
  verdict 'absl::string_view, since Debian builds Abseil with its own' \
    "$(lines_with 'std::string_view' "$fixture")"
  verdict 'no two classes of one namespace share a name' \
    "$(sources | grep -vE "$fixture" | names_twice)"
  verdict 'base/mutex.h, which ThreadSanitizer and the analysis of clang understand' \
    "$(lines_with 'absl::Mutex|std::(mutex|lock_guard|unique_lock)' "^base/mutex.h|$fixture")"
}

# names_twice: classes that are defined in several of these files (one per line, on standard
# input) in one namespace. The linker takes either for both: a program that has the two is broken,
# and no compiler has to say so.
names_twice() {
  xargs -r awk -f tests/layout/class_names.awk | awk '
    { file = $2; sub(/:[0-9]+$/, "", file) }
    !(($1, file) in seen) { seen[$1, file]; ++files[$1]; places[$1] = places[$1] " " $2 }
    END { for (name in files) if (files[name] > 1) print name ":" places[name] }' | sort
}

# "asm volatile" is no volatile object.
raw_memory='\breinterpret_cast<|\bmmap\(|(^|[^m])[ (<]volatile\b'

# An object of our own seen as bytes, which C++ allows, is no raw memory.
bytes_of_an_object='reinterpret_cast<(const )?(char|uint8_t)\*>'

raw_memory_allowed() {
  sed -n 's/^\([^#[:space:]]*\).*/^\1/p' tests/layout/raw_memory_allowed.txt | grep -v '^^$' |
    paste -sd '|'
}

# names_without_test FILE: what a page calls a test, `Code.Form`, and is none.
names_without_test() {
  local name tests
  tests=$(git ls-files '*_test.cc' | xargs cat | tr '\n' ' ' |
    grep -oE '(TEST|TEST_F|TEST_P|NET_NAMESPACE_TEST)\([A-Za-z0-9]+, +[A-Za-z0-9_]+\)' |
    sed -E 's/.*\(([A-Za-z0-9]+), +([A-Za-z0-9_]+)\)/\1.\2/' | sort -u)
  # shellcheck disable=SC2016
  grep -oE '`[A-Za-z0-9]+Test\.[A-Za-z0-9_]+`' "$1" | tr -d '`' | sort -u |
    grep -vxF "$tests"
}

check_docs() {
  verdict 'docs/threat_model.md names tests that exist' "$(names_without_test docs/threat_model.md)"
}

# The fixture breaks rules; each kind of check has to see that.
check_checks() {
  local found
  found=$(path tests/layout/fixture/low -- tests/layout/fixture/high)
  verdict 'this test sees a dependency in the wrong direction' \
    "$([[ $found == *fixture/low*fixture/high* ]] || echo "somepath found: $found")"
  found=$(direct_users //tests/layout/fixture/high:high)
  verdict 'this test sees a user that is not allowed' \
    "$([[ $found == *fixture/low:low* ]] || echo "rdeps found: $found")"
  found=$(sources | grep -E "$fixture" | names_twice | sed 's/.*::\([^:]*\):.*/\1/' | paste -sd ' ')
  verdict 'this test sees classes that share a name, and those alone' \
    "$([[ $found == 'Twin TwinKind TwinOfTypes' ]] || echo "found: $found")"
  found=$(sources | grep -E "$fixture" | xargs grep -nE "$raw_memory")
  verdict 'this test sees raw memory' \
    "$([[ $(wc -l <<<"$found") == 3 ]] || echo "found: $found")"
}

check_rooms
check_virtio
check_words
check_docs
check_checks
exit $failed
