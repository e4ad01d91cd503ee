# shellcheck shell=sh disable=SC2034
description='annulus jail: a guest with a card talks on from an empty root, without a user, within the limits of a cgroup'
cards=tap=tap0,mac=52:54:00:12:34:56,pci,packed=on
jail='--cgroup /vm --memory-max 900M --pids-max 64 --cpu-max 190'
only_annulus=yes
time_limit=300

hierarchy() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }

l1_start() {
  start "$LAB/network/iperf3" -s
  [ -n "$(hierarchy)" ] || mount -t cgroup2 none /sys/fs/cgroup
}

# Of the process in the jail: the one that is process 1 of a namespace.
jailed() { grep -l -E '^NSpid:[[:space:]][0-9]+[[:space:]]1$' /proc/[0-9]*/status | cut -d / -f 3; }

l1_jail() {
  pid=$(jailed)
  echo "$(sed -n -E 's/^(Uid|CapEff|CapBnd|NoNewPrivs):.([0-9a-f]+).*/\2/p' "/proc/$pid/status" | tr '\n' ' ')" \
    "$(find "/proc/$pid/root/" | wc -l) $(wc -l <"/proc/$pid/mounts") $(wc -l <"/proc/$pid/net/dev")"
}
l1_group() {
  group=$(hierarchy)/vm
  # A thread of KVM's may be there, too.
  grep -q -x "$(jailed)" "$group/cgroup.procs" &&
    cat "$group/memory.max" "$group/pids.max" "$group/cpu.max" | tr '\n' ' '
}

guest() {
  check 'user, capabilities, files, mounts, interfaces' "$(l1 jail | tr -s ' ')" \
    '65534 0000000000000000 0000000000000000 1 1 1 3'
  check 'limits of its group' "$(l1 group)" '943718400 64 190000 100000'
  check_card pci 1
  check_network
}
