# shellcheck shell=sh disable=SC2034
description='annulus vsock connect and listen: a connect before the machine runs, a file there and back, messages'
vsock=cid=3,socket=$work/vsock,pci,packed=on
# Its own program.
only_annulus=yes
time_limit=300

# cli ARGUMENT...: what it printed, and "exit CODE", in one line.
cli() {
  "$LAB/annulus" vsock "$@" >"$work/cli" 2>&1
  echo "exit $?" >>"$work/cli"
  tr '\n' ';' <"$work/cli"
}

l1_start() {
  # shellcheck disable=SC2016  # For the inner shell.
  start_saying sh -c '
    echo early | "$1" vsock connect --timeout 100s "$0" 7000
    echo "exit $?"
  ' "$work/vsock" "$LAB/annulus"
}
l1_nobody() { cli connect "$work/vsock" 7009 </dev/null; }
l1_file() {
  dd if=/dev/urandom of="$work/there" bs=1M count=4 2>/dev/null
  "$LAB/annulus" vsock connect --timeout 20s "$work/vsock" 7000 <"$work/there" >"$work/back"
  cmp "$work/there" "$work/back" && wc -c <"$work/back"
}
l1_start_listen() {
  # shellcheck disable=SC2016
  start_saying sh -c '"$1" vsock listen --timeout 100s $2 "$0" 7001 </dev/null; echo "exit $?"' \
    "$work/vsock" "$LAB/annulus" "$1"
}
l1_all_said() {
  await_line '^exit' >/dev/null
  tr '\n' ';' <"$work/said"
}

guest() {
  /vsock/vsock_peer return vsock:any:7000 >/tmp/return &
  check 'called early' "$(l1 all_said)" 'early;exit 0;'
  wait
  passes "$(cat /tmp/return)" 'the guest, called early'
  case $(l1 nobody) in
    *'exit 1;') echo 'lab: ok nobody listens' ;;
    *) fail "nobody listens: $(l1 nobody)" ;;
  esac
  /vsock/vsock_peer return vsock:any:7000 >/tmp/return &
  check 'bytes that came back' "$(l1 file)" 4194304
  wait
  passes "$(cat /tmp/return)" 'the guest, a file'
  l1 start_listen
  check_peer notify 7001 --wait 20 of a stream
  check 'a stream, listened to' "$(l1 all_said)" 'of;a;stream;exit 0;'
  l1 start_listen --seqpacket
  check_peer notify 7001 --wait 20 --seqpacket two messages
  check 'messages, listened to' "$(l1 all_said)" 'two;messages;exit 0;'
}
