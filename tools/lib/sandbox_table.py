#!/usr/bin/env python3
"""Compares the lists of the sandbox with what runs used.

usage: sandbox_table.py LISTS REPORT...

LISTS is what //vmm/sandbox:print_lists prints, REPORT what --sandbox=trace:FILE
wrote. Prints a table for docs/sandbox.md: "x" is a call that a list has and
that a run used, "(x)" one that is there for faults, attacks and shortages,
and "-" one that no run used. What all lists have is used if one thread of any
kind did. Says on standard error what no run used, and what is in no list; exit
code 1 if there is any.
"""

import re
import sys


def read_lists(path):
    rules, whys = {}, {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            role, call, why, *seldom = line.rstrip("\n").split("\t")
            rules[role, call] = bool(seldom)
            whys.setdefault(call, why)
    return rules, whys


def read_reports(paths):
    used, missing = set(), set()
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                line = line.rstrip("\r\n")
                seen = re.search(r"annulus: sandbox: used: ([a-z -]+): (.*)$", line)
                if seen:
                    used.add(seen.groups())
                elif "annulus: sandbox: " in line:
                    missing.add(line)
    return used, missing


def mark(rules, used, role, call):
    if (role, call) not in rules:
        return ""
    return "x" if (role, call) in used else "(x)" if rules[role, call] else "-"


def main(arguments):
    rules, whys = read_lists(arguments[0])
    used, missing = read_reports(arguments[1:])
    used |= {("all", call) for _, call in used}
    roles = list(dict.fromkeys(role for role, _ in rules))
    print("| call |", " | ".join(roles), "| what for |")
    print("|---" * (len(roles) + 2) + "|")
    for call in sorted(whys, key=lambda call: (("all", call) not in rules, call)):
        marks = [mark(rules, used, role, call) for role in roles]
        print(f"| `{call}` |", " | ".join(marks), f"| {whys[call]} |")
    unused = [rule for rule, seldom in rules.items() if rule not in used and not seldom]
    for role, call in unused:
        print(f"no run used: {role}: {call}", file=sys.stderr)
    for line in sorted(missing):
        print(f"in no list: {line}", file=sys.stderr)
    print(
        f"{len(rules)} entries: {len(unused)} that no run used and that are not for seldom "
        f"cases, {sum(rules.values())} that are; {len(missing)} calls in no list",
        file=sys.stderr,
    )
    return 1 if unused or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
