# shellcheck shell=bash
# What a case starts, waits for and ends; nothing outlives it. A case is a process of its own
# (tests/peers/run_case.sh), with a time limit from outside; LOGS is its folder for what programs say,
# WORK one for sockets and files, gone afterwards.

declare -A PID_OF    # Name of a program that runs: its process.
declare -A INPUT_OF  # The descriptor of its commands.

# fail WORDS...: ends the case.
fail() {
  # Also of a command substitution.
  printf 'peers: FAIL %s\n' "$*" >&2
  exit 1
}

# spawn NAME COMMAND...: in the background; what it says is in LOGS/NAME.log, after what a program of
# that name said before.
spawn() {
  local name=$1
  shift
  # It dies with the case, also if that is killed.
  setpriv --pdeathsig KILL "$@" >>"$LOGS/$name.log" 2>&1 </dev/null &
  PID_OF[$name]=$!
}

# spawn_commanded NAME COMMAND...: the same; say NAME writes lines for it to read.
spawn_commanded() {
  local name=$1 commands
  shift
  mkfifo "$WORK/$name.in"
  exec {commands}<>"$WORK/$name.in"
  rm "$WORK/$name.in"
  INPUT_OF[$name]=$commands
  setpriv --pdeathsig KILL "$@" >>"$LOGS/$name.log" 2>&1 <&"$commands" &
  PID_OF[$name]=$!
}
say() {
  local name=$1
  shift
  printf '%s\n' "$*" >&"${INPUT_OF[$name]}"
}

running() { kill -0 "${PID_OF[$1]}" 2>/dev/null; }

# await SECONDS WHAT COMMAND...: until it succeeds.
await() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS <= deadline)) || fail "gave up waiting for $what"
    sleep 0.05
  done
}

# await_log NAME REGEX [FROM]: a line of what NAME says, beyond its first FROM bytes.
log_has() {
  running "$1" || fail "$1 ended: $(tail -n 1 "$LOGS/$1.log")"
  tail -c +$((${3:-0} + 1)) "$LOGS/$1.log" 2>/dev/null | grep -qaE -- "$2"
}
await_log() { await 60 "/$2/ of $1" log_has "$@"; }
log_size() { stat -c %s "$LOGS/$1.log" 2>/dev/null || echo 0; }

# await_end NAME SECONDS [CODE]: that it ends by itself, with that code.
await_end() {
  local code=0
  # shellcheck disable=SC2317  # Called by await.
  ended() { ! running "$1"; }
  await "$2" "the end of $1" ended "$1"
  wait "${PID_OF[$1]}" || code=$?
  unset "PID_OF[$1]"
  ((code == ${3:-0})) || fail "$1 ended with code $code: $(tail -n 1 "$LOGS/$1.log")"
}

# stop NAME: asked to end, it does so in good order.
stop() {
  running "$1" || fail "$1 had ended: $(tail -n 1 "$LOGS/$1.log")"
  kill "${PID_OF[$1]}"
  await_end "$1" 20
}

# kill_at_once NAME: with no time to say good-bye.
kill_at_once() {
  kill -KILL "${PID_OF[$1]}"
  wait "${PID_OF[$1]}" 2>/dev/null || true
  unset "PID_OF[$1]"
}

end_processes() {
  local name
  for name in "${!PID_OF[@]}"; do kill -KILL "${PID_OF[$name]}" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
