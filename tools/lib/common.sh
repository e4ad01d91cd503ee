# shellcheck shell=bash
# What every command in tools/ starts with: where things are, and how to talk to people.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Downloads, guest images and logs. Nothing is written into the source tree.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/annulus
STARTED=$SECONDS
mkdir -p "$CACHE"

# A heading with the time since the start, so that a slow step is seen as slow and not as hung.
step() {
  local elapsed=$((SECONDS - STARTED))
  printf '== [%02d:%02d] %s\n' $((elapsed / 60)) $((elapsed % 60)) "$*"
}

note() { printf '   %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Whether a person watches: output may then be redrawn and prefixed live.
on_terminal() { [[ -t 1 && -z ${CI:-} ]]; }

# as_root COMMAND...: directly for root, through sudo for others.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root: run it as root, or install sudo (wanted to run: $*)"
  fi
}

# median NUMBER...: of integers; the lower one of the two in the middle.
median() {
  local sorted
  mapfile -t sorted < <(printf '%s\n' "$@" | sort -n)
  printf '%s\n' "${sorted[$(((${#sorted[@]} - 1) / 2))]}"
}

# minimum NUMBER...
minimum() { printf '%s\n' "$@" | sort -n | head -n 1; }

# milliseconds since the epoch.
now_ms() { printf '%s\n' $((${EPOCHREALTIME/[.,]/} / 1000)); }
