# shellcheck shell=sh disable=SC2034
description='a kernel command line of 2047 characters, the longest that Linux takes, arrives whole'

# One word, because Linux takes at most 32 that it does not know; with a dot, so that it is not
# given to init. Its digits count up, so that a piece that is lost or doubled shows.
cmdline() {
  awk -v line="$base_cmdline lab.filler=" 'BEGIN {
    for (i = 1000; length(line) < 2047; i++) line = line i
    print substr(line, 1, 2047)
  }'
}

guest() {
  # In the guest nothing has set the words before the filler; they are the line itself.
  base_cmdline=$(sed 's/ lab.filler=.*//' /proc/cmdline)
  check length "$(tr -d '\n' </proc/cmdline | wc -c)" 2047
  check digest "$(md5sum </proc/cmdline)" "$(cmdline | md5sum)"
}
