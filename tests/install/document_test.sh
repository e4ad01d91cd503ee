#!/bin/bash
# Compiles and links the code of docs/embedding.md against the installed library, which pkg-config knows. A block behind
# a line "<!-- FILE -->" is that file of the tree, as it is; any other one is C or C++ by itself, behind the
# includes of the library.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BLOCKS=$(mktemp -d)
trap 'rm -rf "$BLOCKS"' EXIT

# NUMBER.LANGUAGE for each block, and NUMBER.file with the file's name where there is one.
awk -v folder="$BLOCKS" '
  !inside && /^```[a-z]/ {
    inside = 1
    out = sprintf("%s/%02d.%s", folder, ++number, substr($0, 4))
    if (file != "") print file > sprintf("%s/%02d.file", folder, number)
    printf "" > out
    next
  }
  inside && /^```$/ { inside = 0; file = ""; next }
  inside { print > out; next }
  /^<!-- .* -->$/ { file = $2; next }
  NF { file = "" }
' "$ROOT/docs/embedding.md"

compiled=0
copied=0
for block in "$BLOCKS"/*; do
  [[ $block != *.file && $block != */object ]] || continue
  if [[ -e ${block%.*}.file ]]; then
    diff "$ROOT/$(cat "${block%.*}.file")" "$block"
    copied=$((copied + 1))
    continue
  fi
  # shellcheck disable=SC2046
  case $block in
    *.c)
      gcc -std=c11 -pedantic -Wall -Wextra -Werror -Wno-unused-function -fPIC -shared -Wl,-z,defs \
        -include vmm/c_api.h "$block" $(pkg-config --cflags --libs annulus) -o "$BLOCKS/object"
      compiled=$((compiled + 1))
      ;;
    *.cpp)
      g++ -Wall -Wextra -Werror -Wno-unused-function -fPIC -shared -Wl,-z,defs -include vmm/vmm.h \
        "$block" $(pkg-config --cflags --libs annulus-c++) -o "$BLOCKS/object"
      compiled=$((compiled + 1))
      ;;
  esac
done
echo "$copied blocks are files of the tree, $compiled compile"
# A document without either is not the one that is meant.
((copied >= 2 && compiled >= 4))
