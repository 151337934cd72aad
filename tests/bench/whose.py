# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What it costs to know whose the namespaces are
----------------------------------------------

On a dump of 1,000 veth pairs over 1,000 namespaces, in which 5,000 processes sleep: the
CPU time of everything that tells who is behind a namespace (tasks, cgroups, containers,
mounts, numbers, holders, labels) against that of the walk over the devices. Both are
parts of one Snapshot, so that the ratio means something on any machine.

With ``--held``, nothing but open files of one process keeps the namespaces, which have
no process: the search for them is what is measured.

With ``--core CORE``, it measures any other dump.

With ``--live``, it boots a guest with the same scene instead, and runs there, one after
the other:

- our report, the whole process: drgn on ``/proc/kcore``, the screen with all devices by
  BTF, and JSON by BTF and with debug symbols;
- what one would use without it: ``ip -d -j link``, ``bpftool net`` and ``ethtool -l``
  in every namespace by ``ip -all netns exec``, and one pass over ``/proc`` that asks
  each task for its namespaces, cgroups and open files;
- what prints the counters that JSON has besides: ``ethtool -S`` and ``tc -s qdisc``.
"""

import argparse
import json
import os
from pathlib import Path
import statistics
import subprocess
import sys
from typing import Any

__all__ = ("main",)

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "vmcores"))

KERNEL = "6.1"
# Of the scene "scale": pairs, namespaces, processes.
SETTINGS = {"N": "1000", "M": "1000", "T": "5000"}
MEMORY_MB = 4096
ROUNDS = 5
IN_GUEST = Path(__file__).with_name("tools_in_guest.py")
LIVE_GOAL = 20
TIMEOUT = 7200  # seconds in the guest, which may be emulated

# Run by drgn in a fresh process, so that no page of the dump is unpacked yet.
_INSIDE = """
import json, sys, time
sys.path.insert(0, {helpers!r})
from drgn_veth import snapshot
from drgn_veth.btf import use_btf
from drgn_veth.snapshot import namespaces
from drgn_veth.snapshot.discover import Discovery

spent = {{}}

def timed(owner, name, what):
    function = getattr(owner, name)
    def call(*args):
        start = time.process_time()
        result = function(*args)
        spent[what] = spent.get(what, 0) + time.process_time() - start
        return result
    setattr(owner, name, call)

timed(Discovery, "namespaces", "walk")
timed(snapshot, "_rows", "records")
timed(snapshot, "name_namespaces", "whose")
for name in ("known_net_mounts", "net_tasks", "_nsids", "net_mounts_elsewhere",
             "add_holders", "label_namespaces"):
    timed(namespaces, name, name)

use_btf(prog)
# Types and symbols are looked up once in a process; that is not what is measured.
prog["net_namespace_list"], prog["init_task"], prog["nsfs_mnt"]
for name in ("net", "net_device", "task_struct", "mount", "css_set", "cgroup"):
    prog.type("struct " + name)
taken = snapshot.take_snapshot(prog, traffic=False)
found = taken.namespaces
count = [len(found), len(taken.devices), sum(one.task_count for one in found),
         sum(len(one.containers) for one in found),
         sum(one.holder_count or 0 for one in found)]
print(json.dumps([count, spent, taken.incomplete]))
"""


def _measure(drgn: list[str]) -> tuple[list[int], dict[str, float]]:
    environment = {**os.environ, "DRGN_DISABLE_PLUGINS": "drgn_veth"}
    code = _INSIDE.format(helpers=str(REPOSITORY / "helpers"))
    done = subprocess.run(
        [*drgn, "-e", code], env=environment, stdout=subprocess.PIPE, check=True
    )
    count, spent, untold = json.loads(done.stdout)
    assert not untold, untold
    return count, spent


def _live() -> bool:
    import lab

    kernel = lab.get_kernel(KERNEL)
    files = {"/lab/tools_in_guest.py": IN_GUEST}
    for name in ("helpers", "drgn_scripts"):
        files[f"/lab/repo/{name}"] = REPOSITORY / name
    with lab.Guest(kernel, memory_mb=MEMORY_MB, files=files) as guest:
        said = guest.run("dash /lab/scenes/scale.sh", env=SETTINGS, timeout=TIMEOUT)
        print(f"{kernel.release}, {said.splitlines()[-1]}", flush=True)
        modules = " ".join(sorted(kernel.debug_modules))
        done = guest.run(f"python3 /lab/tools_in_guest.py {modules}", timeout=TIMEOUT)
    taken = json.loads(done.splitlines()[-1])
    sums = {}
    for whose, times in taken.items():
        sums[whose] = sum(seconds for seconds, _, _ in times.values())
        for name, (seconds, cpu, size) in times.items():
            print(f"{name}: {seconds:.1f} s, CPU {cpu:.1f} s, {size / 1e6:.1f} MB")
    all_met = True
    for name, (seconds, _, _) in taken["ours"].items():
        ratio = sums["theirs"] / seconds
        what = f"tools / {name}, time: {ratio:.1f}"
        if name.startswith("JSON"):
            ratio += sums["counting"] / seconds
            what += f", with those that count {ratio:.1f}"
        met = ratio >= LIVE_GOAL
        all_met = all_met and met
        print(f"{what} (at least {LIVE_GOAL}: {'met' if met else 'NOT MET'})")
    return all_met


def _of_scene(settings: dict[str, str]) -> bool:
    import lab

    made = lab.make(KERNEL, "scale", env=settings, memory_mb=MEMORY_MB, timeout=TIMEOUT)
    drgn = [sys.executable, "-m", "drgn", "-q", "-c", str(made.vmcore)]
    drgn += ["-s", str(made.kernel.vmlinux)]
    drgn += ["-s", str(made.kernel.debug_modules["veth"])]
    return _of_dump(drgn, made.kernel.release)


def _of_dump(drgn: list[str], what: str) -> bool:
    runs: list[dict[str, float]] = []
    count: Any = None
    for _ in range(ROUNDS):
        count, spent = _measure(drgn)
        runs.append(spent)
    ms = {what: statistics.median(run[what] for run in runs) * 1e3 for what in runs[0]}
    ratio = statistics.median(
        run["whose"] / (run["walk"] + run["records"]) for run in runs
    )
    namespaces, devices, tasks, containers, holders = count
    print(
        f"{what}, {namespaces} namespaces, {devices} devices, "
        f"{tasks} processes in {containers} containers, {holders} holders, "
        f"medians of {ROUNDS} runs"
    )
    print(f"devices: walk {ms['walk']:.0f} ms, records {ms['records']:.0f} ms")
    parts = [what for what in ms if what not in ("walk", "records", "whose")]
    told = ", ".join(f"{what.lstrip('_')} {ms[what]:.0f}" for what in parts)
    print(f"whose: {ms['whose']:.0f} ms ({told})")
    met = ratio <= 1
    print(
        f"whose / devices, CPU time: {ratio:.2f} "
        f"(at most 1.0: {'met' if met else 'NOT MET'})"
    )
    return met


def main() -> int:
    """Measure, print, and return 1 if a goal is not met."""
    parser = argparse.ArgumentParser(description="Measure what it costs to know whose.")
    parser.add_argument(
        "--live", action="store_true", help="boot a guest, and compare there"
    )
    parser.add_argument(
        "--held", action="store_true", help="namespaces that only open files keep"
    )
    parser.add_argument("--core", help="any dump, without its debug symbols")
    args = parser.parse_args()
    held = {**SETTINGS, "T": "0", "HELD": "1"}
    if args.core is not None:
        drgn = [sys.executable, "-m", "drgn", "-q", "--no-default-symbols"]
        met = _of_dump([*drgn, "-c", args.core], args.core)
    elif args.live:
        met = _live()
    else:
        met = _of_scene(held if args.held else SETTINGS)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
