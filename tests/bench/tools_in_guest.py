#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Time, in a guest, our report and the usual tools on the same namespaces.

Use: ``tools_in_guest.py MODULE...``: the modules whose debug symbols our report may
use. It prints one line of JSON, ``{"ours": TIMES, "theirs": TIMES, "counting": TIMES}``
with ``{NAME: [SECONDS, CPU SECONDS, BYTES OF OUTPUT]}`` in each. Ours in JSON have the
counters of devices, queues and qdiscs, too, as ``counting`` prints them; the screen has
not. One program runs at a time, and its output goes to a file.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

__all__ = ("main",)

SCRIPT = "/lab/repo/drgn_scripts/netns_report.py"
# As lsns and fuser do: every task and every open file, in one process that starts no
# other.
PROC = """
import json, sys
sys.path.insert(0, "/lab/guest")
from whose import record_whose
json.dump(record_whose(), sys.stdout)
"""
ASKED = {
    "ip -d -j link": ("ip", "-d", "-j", "link"),
    "bpftool net": ("bpftool", "-j", "net", "show"),
    "ethtool -l": ("ethtool", "-l", "*"),
}
COUNTERS = {
    "ethtool -S": ("ethtool", "-S", "*"),
    "tc -s -j qdisc": ("tc", "-s", "-j", "qdisc"),
}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _time(*commands: Sequence[str]) -> tuple[float, float, int]:
    with tempfile.TemporaryFile(dir="/tmp") as out:
        start, cpu = time.monotonic(), _cpu()
        for command in commands:
            # ethtool fails where no device has channels.
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                check=command[0] == "python3",
            )
        return time.monotonic() - start, _cpu() - cpu, os.fstat(out.fileno()).st_size


def _everywhere(asked: Sequence[str]) -> tuple[float, float, int]:
    return _time(asked, ("ip", "-all", "netns", "exec", *asked))


def main(modules: Sequence[str]) -> int:
    """Measure and print."""
    symbols = ["-s", "/kernel/vmlinux"]
    for module in modules:
        symbols += ["-s", f"/kernel/debug/{module}.ko.debug"]
    drgn = ("python3", "-m", "drgn", "-q", "-k")
    by_btf = (*drgn, "--no-default-symbols", SCRIPT)
    ours = {
        "screen from BTF": (*by_btf, "--devices"),
        "JSON from BTF": (*by_btf, "--format", "json"),
        "JSON": (*drgn, *symbols, SCRIPT, "--format", "json"),
    }
    # Whoever installs a program compiles its modules, once. Here, the first run does.
    _time(ours["JSON"])
    taken = {
        "ours": {name: _time(command) for name, command in ours.items()},
        "theirs": {name: _everywhere(asked) for name, asked in ASKED.items()},
        "counting": {name: _everywhere(asked) for name, asked in COUNTERS.items()},
    }
    taken["theirs"]["/proc"] = _time(("python3", "-c", PROC))
    print(json.dumps(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
