"""Has a guest move from one QEMU, which is ended then, to another that waits for it, while it runs.

move_guest.py MONITOR INCOMING: sockets, of the one's QMP and of the other. Says in one line how that went.
"""

import contextlib
import json
import socket
import sys
import time


class Monitor:
    def __init__(self, path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(path)
        self.lines = self.stream.makefile()
        self.lines.readline()  # It says who it is.
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        request = {"execute": command, "arguments": arguments}
        self.stream.sendall(json.dumps(request).encode() + b"\n")
        for line in self.lines:
            answer = json.loads(line)
            if "error" in answer:
                sys.exit(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        return sys.exit(f"{command}: QEMU ended")


def main():
    monitor = Monitor(sys.argv[1])
    # It goes in the midst of what dirties its memory, not when that is over.
    monitor.do("migrate-set-parameters", **{"downtime-limit": 2000})
    monitor.do("migrate", uri=f"unix:{sys.argv[2]}")
    while True:
        state = monitor.do("query-migrate")
        if state["status"] == "completed":
            break
        if state["status"] in ("failed", "cancelled"):
            sys.exit(f"migration {state['status']}: {state.get('error-desc')}")
        time.sleep(0.05)
    ram = state["ram"]
    print(
        f"moved in {state['total-time']} ms, {state['downtime']} ms of them without running,"
        f" {ram['dirty-sync-count']} rounds, {ram['transferred'] >> 20} MiB"
    )
    sys.stdout.flush()
    monitor.do("quit")
    # Until it is gone it listens to the console, for which the other is there now.
    with contextlib.suppress(ConnectionResetError):
        for _ in monitor.lines:
            pass


main()
