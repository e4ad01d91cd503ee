# shellcheck shell=bash
# Manual pages, made of what `annulus COMMAND --help` prints.

# commands_with_pages PROGRAM: "COMMAND SUMMARY" a line, with those of two words ("device net").
commands_with_pages() {
  local name summary sub
  while read -r name summary; do
    [[ $name != help ]] || continue
    printf '%s\t%s\n' "$name" "$summary"
    # Usage: annulus device net|vsock|rng [FLAGS]
    while read -r sub; do
      printf '%s %s\t%s\n' "$name" "$sub" "$summary"
    done < <("$1" "$name" --help | sed -n "/^$/q; s/.* annulus $name \([a-z|]*\)\( .*\)*$/\1/p" |
      tr '|' '\n' | sed '/^$/d')
  done < <("$1" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) /\1/p')
}

# man_page PROGRAM NAME SUMMARY SEE ARGUMENT...: on standard output.
man_page() {
  local program=$1 name=$2 summary=$3 see=$4
  shift 4
  "$program" "$@" | awk -v name="$name" -v summary="$summary" -v see="$see" \
    -v version="$("$program" version | sed 's/^annulus //')" -f "$ROOT/tools/lib/man_page.awk"
}

# write_man_pages PROGRAM FOLDER
write_man_pages() {
  local command summary name pages=() words
  while IFS=$'\t' read -r command summary; do
    name=annulus-${command// /-}
    pages+=("$name(1)")
    read -r -a words <<<"$command"
    # Whoever has subcommands may have the same help for all of them.
    man_page "$1" "$name" "$summary" 'annulus(1)' "${words[@]}" --help >"$2/$name.1"
  done < <(commands_with_pages "$1")
  man_page "$1" annulus 'virtual machines on KVM' "$(printf '%s, ' "${pages[@]}" | sed 's/, $//')" \
    help >"$2/annulus.1"
}
