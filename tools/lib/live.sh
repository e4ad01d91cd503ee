# shellcheck shell=bash
# Shows a file on standard output while it grows: the console of a guest.

# live_start FILE PREFIX
live_start() {
  # tail ends, having shown all there was, when the token does.
  sleep infinity &
  LIVE_TOKEN=$!
  tail -n +1 -s 0.1 --pid="$LIVE_TOKEN" -f "$1" 2>/dev/null |
    sed -u -e 's/\r//g' -e "s/^/$2/" &
  LIVE_PID=$!
}

live_stop() {
  [[ -n ${LIVE_TOKEN:-} ]] || return 0
  kill "$LIVE_TOKEN"
  wait "$LIVE_TOKEN" "$LIVE_PID" 2>/dev/null || true
  LIVE_TOKEN=
}
