# shellcheck shell=sh disable=SC2034
description='a line typed at the console is echoed by the guest and read by its shell'
# Twice: the echo of the terminal, and what the guest makes of it.
expect='
^say something: typed by a person
^read <typed by a person>
'

input() {
  await 'say something'
  echo 'typed by a person'
}

guest() {
  printf 'say something: '
  read -r line
  echo "read <$line>"
}
