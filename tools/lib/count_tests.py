#!/usr/bin/python3
"""Counts the test cases of one `bazel test`: count_tests.py BUILD_EVENTS.json

Reads the file that --build_event_json_file wrote. Prints "PASSED FAILED SKIPPED" on the first line,
then a line for each failed and each skipped case. A test program that says nothing of its cases
counts as one case, and so does one that failed outside of all of them, or was not built.
"""

import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def cases(path):
    """Yields (name, outcome) of each case in one test.xml."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed"
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            yield name, "skipped"
        elif case.get("status") == "notrun":
            continue  # Disabled, or filtered out.
        else:
            yield name, "passed"


def program(event):
    """The outcomes of one test program that ran."""
    label = event["id"]["testResult"]["label"]
    result = event["testResult"]
    passed = result.get("status") == "PASSED"
    found = []
    for output in result.get("testActionOutput", []):
        if output.get("name") == "test.xml":
            path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
            try:
                found = [(f"{label} {name}", outcome) for name, outcome in cases(path)]
            except (OSError, ElementTree.ParseError):
                found = []
    if not found:
        found = [(label, "passed" if passed else "failed")]
    if not passed and all(outcome != "failed" for _, outcome in found):
        found.append((f"{label} ({result.get('status', 'no status')})", "failed"))
    return found


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    outcomes = {}
    with open(arguments[1], encoding="utf-8") as events:
        for line in events:
            event = json.loads(line)
            if "testResult" in event:
                # A later attempt or shard does not hide an earlier one.
                key = json.dumps(event["id"], sort_keys=True)
                outcomes[key] = program(event)
            elif "targetCompleted" in event.get("id", {}) and "aborted" not in event:
                if not event.get("completed", {}).get("success"):
                    label = event["id"]["targetCompleted"]["label"]
                    outcomes[f"build {label}"] = [(f"{label} (not built)", "failed")]
    everything = [item for found in outcomes.values() for item in found]
    for_outcome = {
        wanted: [name for name, outcome in everything if outcome == wanted]
        for wanted in ("passed", "failed", "skipped")
    }
    print(*(len(names) for names in for_outcome.values()))
    for wanted in ("failed", "skipped"):
        for name in sorted(for_outcome[wanted]):
            print(wanted, name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
