# shellcheck shell=sh
# What the guest halves of scenarios share. Runs in the guest, under busybox.

# A failed check is a line that every scenario's verdict looks for.
fail() { echo "lab: FAIL $*"; }

# check NAME ACTUAL EXPECTED
check() {
  if [ "$2" = "$3" ]; then
    echo "lab: ok $1 = $2"
  else
    fail "$1: expected <$3>, found <$2>"
  fi
}

# The virtio entropy devices, in the order in which hw_random numbered them.
rng_devices() {
  (cd /sys/bus/virtio/drivers/virtio_rng && ls -d virtio[0-9]*) | sort -t o -k 2 -n
}

# transport_of virtioN: pci or mmio, from where the device hangs in the tree.
transport_of() {
  case $(readlink -f "/sys/bus/virtio/devices/$1") in
    */pci*/virtio*) echo pci ;;
    *) echo mmio ;;
  esac
}

# interrupts_of virtioN: how many it has had, over all CPUs and vectors.
interrupts_of() {
  awk -v name="$1" '$NF ~ "^" name "(-|$)" {
    for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i
  } END { print sum + 0 }' /proc/interrupts
}

# feature_of virtioN BIT: 1 if negotiated. sysfs prints bit 0 first.
feature_of() { cut -c$(($2 + 1)) "/sys/bus/virtio/devices/$1/features"; }

# read_each_hwrng [KIB]: reads 16 bytes from /dev/hwrng through each entropy device and shows them;
# then KIB, or 1, so that the device has to interrupt: the driver keeps a few bytes in stock.
read_each_hwrng() {
  kib=${1:-1}
  index=0
  for device in $(rng_devices); do
    before=$(interrupts_of "$device")
    echo "virtio_rng.$index" >/sys/class/misc/hw_random/rng_current ||
      fail "cannot select virtio_rng.$index"
    bytes=$(dd if=/dev/hwrng bs=1 count=16 2>/dev/null | hexdump -v -e '16/1 "%02x"')
    echo "hwrng over $(transport_of "$device") ($device): $bytes"
    [ ${#bytes} = 32 ] || fail "$device gave ${#bytes} hex digits"
    dd if=/dev/hwrng of=/tmp/hwrng bs=64 count=$((kib * 16)) 2>/dev/null
    [ "$(wc -c </tmp/hwrng)" = $((kib * 1024)) ] || fail "$device gave less than $kib KiB"
    # Random bytes do not compress.
    [ "$(gzip -c </tmp/hwrng | wc -c)" -gt $((kib * 1024)) ] || fail "$device repeats itself"
    [ "$(interrupts_of "$device")" -gt "$before" ] || fail "$device interrupted nobody"
    index=$((index + 1))
  done
}

cpu_count() { grep -c '^processor' /proc/cpuinfo; }

memory_total_kib() { awk '/^MemTotal/ { print $2 }' /proc/meminfo; }

# l1 NAME ARGUMENT...: what l1_NAME in L1 prints.
l1() {
  echo "lab: l1 $*" >/dev/console
  read -r status answer </dev/console
  [ "$status" = ok ] || fail "l1 $*: $answer" >/dev/console
  [ -z "$answer" ] || echo "$answer"
}

# await_value NAME EXPECTED COMMAND...: waits up to ten seconds for it to print that.
await_value() {
  value_name=$1 value_expected=$2 tries=100
  shift 2
  while [ "$("$@" 2>/dev/null)" != "$value_expected" ] && [ $tries -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
  check "$value_name" "$("$@" 2>&1)" "$value_expected"
}
