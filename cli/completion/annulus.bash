# shellcheck shell=bash
# Completes `annulus` in bash, by what the program's own help says: it cannot be out of date.

# _annulus_flags COMMAND...: a line for each flag, "--name" or "--name VALUE".
_annulus_flags() { "$@" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\( [^, ][^ ]*\)\{0,1\}\).*/\1/p'; }

# _annulus_words PROGRAM [COMMAND]: subcommands, if there are any.
_annulus_words() {
  if (($# == 1)); then
    "$1" help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
  else
    "$@" --help 2>/dev/null | sed -n "/^$/q; s/.* annulus $2 \([a-z|]*\)\( .*\)*$/\1/p" | tr '|' '\n'
  fi
}

_annulus() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} flags value
  local -a command=("${COMP_WORDS[0]}") subcommands
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$(_annulus_words "${command[@]}")" -- "$word")
    return
  fi
  command+=("${COMP_WORDS[1]}")
  mapfile -t subcommands < <(_annulus_words "${command[@]}")
  if [[ ${COMP_WORDS[1]} == help ]]; then
    mapfile -t subcommands < <(_annulus_words "${COMP_WORDS[0]}")
  elif ((COMP_CWORD > 2)) && [[ " ${subcommands[*]} " == *" ${COMP_WORDS[2]} "* ]]; then
    command+=("${COMP_WORDS[2]}")
  fi
  flags=$(_annulus_flags "${command[@]}")
  value=$(sed -n "s/^$previous \(.*\)/\1/p" <<<"$flags" 2>/dev/null)
  if [[ -n $value ]]; then
    # A value: of a file; of others the program knows what they may be, and we do not.
    [[ $value != *FILE* && $value != *PATH* && $value != *SOCKET* && $value != *WHERE* ]] ||
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(cut -d ' ' -f 1 <<<"$flags") --help" -- "$word")
  elif ((COMP_CWORD == 2 && ${#subcommands[@]})); then
    mapfile -t COMPREPLY < <(compgen -W "${subcommands[*]}" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}

complete -o filenames -F _annulus annulus
