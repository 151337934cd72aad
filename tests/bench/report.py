# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How fast the report is
----------------------

On dumps of 1,000 and 100 veth pairs, everything in one run, so that ratios mean
something on any machine:

- the whole process (drgn, symbols, report), its time and peak memory, against
  crash's ``net`` on the same dump;
- the same with types from BTF, no debug symbols given, against that with them: time,
  and peak memory of each as a part of crash's;
- the Snapshot against a loop in drgn's own terms that reads the same structs;
- what tells where packets go, such as counters, against the rest of the Snapshot, which
  the other rows are about;
- the Snapshot per device at 1,000 pairs against that at 100;
- with ``--against TREE``, the whole process against that of another checkout.

That loop is what anyone would write who wants to read every device with drgn:
``for_each_netdev()`` and ``read_()`` of the device, its private data, the last queue of
each array, and each ``struct veth_rq``. Two floors are printed for information, with no
goal. The first reads device and private data only: one page of the dump where the
others read four, and a page takes longer to unpack than to decode. The second is one
``prog.read()`` of the device and its private data, from one to the ``next`` in the
bytes that were read. It makes no drgn objects at all, and so is what no program in
Python with drgn can go below.
"""

import argparse
from collections.abc import Sequence
import json
import os
from pathlib import Path
import shutil
import statistics
import subprocess
import sys
import time
from typing import Any

__all__ = ("main",)

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SCRIPT = REPOSITORY / "scripts" / "veth_report.py"
sys.path.insert(0, str(REPOSITORY / "vmcores"))

KERNEL = "6.1"  # crash of Debian bookworm opens it
SIZES = (1000, 100)
ROUNDS = 7

# Run by drgn in a fresh process, so that no page of the dump is unpacked yet.
_INSIDE = """
import gc, json, sys, time
sys.path.insert(0, {helpers!r})
from drgn.helpers.linux.net import for_each_net, for_each_netdev, netdev_priv
from drgn_veth.snapshot import take_snapshot

def floor():
    count = 0
    for net in for_each_net(prog):
        for dev in for_each_netdev(net):
            dev[0].read_()
            netdev_priv(dev, "struct veth_priv")[0].read_()
            count += 1
    return count

def same():
    count = 0
    for net in for_each_net(prog):
        for dev in for_each_netdev(net):
            dev[0].read_()
            priv = netdev_priv(dev, "struct veth_priv")
            priv[0].read_()
            dev._rx[dev.num_rx_queues.value_() - 1].read_()
            dev._tx[dev.num_tx_queues.value_() - 1].read_()
            if dev.rtnl_link_ops and dev.rtnl_link_ops.kind.string_() == b"veth":
                for i in range(dev.num_rx_queues.value_()):
                    priv.rq[i].read_()
            count += 1
    return count

def raw():
    device, net = prog.type("struct net_device"), prog.type("struct net")
    size = (device.size + 31) // 32 * 32 + prog.type("struct veth_priv").size
    at = device.member("dev_list").bit_offset // 8
    head_at = net.member("dev_base_head").bit_offset // 8
    count = 0
    for namespace in for_each_net(prog):
        head = namespace.value_() + head_at
        node = prog.read_u64(head)
        while node != head:
            data = prog.read(node - at, size)
            node = int.from_bytes(data[at:at + 8], sys.byteorder)
            count += 1
    return count

def snapshot():
    return len(take_snapshot(prog, traffic=False).devices)

def traffic():
    return len(take_snapshot(prog).devices)

# Types and symbols are looked up once in a process; that is not what is measured.
prog.type("struct net_device"), prog.type("struct veth_priv"), prog["init_net"]
start = time.perf_counter()
count = {what}()
print(json.dumps([count, time.perf_counter() - start]))
"""


# Python compiles modules once, as on a machine where nobody forbids it. Plugins are
# off, since drgn would import ours from one tree for the script of another.
_ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPYCACHEPREFIX": str(REPOSITORY / "build" / "bytecode"),
    "DRGN_DISABLE_PLUGINS": "drgn_veth",
}


def _run(argv: Sequence[object], text: str = "") -> tuple[float, int, str]:
    """Run a program; return its seconds, peak memory in KiB, and output."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(arg) for arg in argv],
        env=_ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin and process.stdout
    process.stdin.write(text)
    process.stdin.close()
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"bench: {argv[0]} failed with status {status}")
    return seconds, usage.ru_maxrss, output


def _median(runs: list[tuple[float, int, str]]) -> tuple[float, float]:
    return (
        statistics.median(seconds for seconds, _, _ in runs),
        statistics.median(memory for _, memory, _ in runs) / 1024,
    )


def _crash() -> str:
    path = shutil.which("crash")
    if path is None:
        subprocess.run(["apt-get", "install", "-y", "-q", "crash"], check=True)
        path = shutil.which("crash")
    assert path is not None
    return path


def _inside(drgn: Sequence[object], what: str) -> tuple[int, float]:
    code = _INSIDE.format(helpers=str(REPOSITORY / "helpers"), what=what)
    _, _, output = _run([*drgn, "-e", code])
    count, seconds = json.loads(output)
    return count, seconds


def _told(what: str, ratio: float, goal: str, met: bool) -> bool:
    print(f"{what}: {ratio:.2f} ({goal}: {'met' if met else 'NOT MET'})")
    return met


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how fast the report is.")
    parser.add_argument(
        "--against", metavar="TREE", type=Path, help="another checkout of the project"
    )
    return parser.parse_args()


def main() -> int:
    """Measure, print, and return 1 if a goal is not met."""
    import lab

    other = _arguments().against
    drgn: dict[int, list[object]] = {}
    btf: list[object] = []
    made: Any = None
    for size in SIZES:
        made = lab.make(KERNEL, "scale", env={"N": str(size)}, memory_mb=2048)
        symbols = ["-s", made.kernel.vmlinux, "-s", made.kernel.debug_modules["veth"]]
        drgn[size] = [sys.executable, "-m", "drgn", "-q", "-c", made.vmcore, *symbols]
        if size == SIZES[0]:
            core, vmlinux = made.vmcore, made.kernel.vmlinux
            btf = [sys.executable, "-m", "drgn", "-q", "-c", core]
            btf += ["--no-default-symbols"]
    large, small = SIZES

    # Turn about, so that a busy moment of the machine falls on both.
    inside: dict[tuple[str, int], list[float]] = {}
    whole: list[tuple[float, int, str]] = []
    whole_btf: list[tuple[float, int, str]] = []
    crash: list[tuple[float, int, str]] = []
    others: list[tuple[float, int, str]] = []
    crash_path = _crash()
    scripts = [SCRIPT] if other is None else [SCRIPT, other / "scripts" / SCRIPT.name]
    for script in scripts:  # Compile the modules.
        _run([*drgn[large], script])
    for _ in range(ROUNDS):
        whole.append(_run([*drgn[large], SCRIPT]))
        if other is not None:
            others.append(_run([*drgn[large], scripts[-1]]))
        whole_btf.append(_run([*btf, SCRIPT]))
        screen = whole_btf[-1][2].replace("types: BTF", "types: DWARF", 1)
        assert screen == whole[-1][2]
        for size in SIZES:
            for what in ("floor", "same", "raw", "snapshot", "traffic"):
                count, seconds = _inside(drgn[size], what)
                inside.setdefault((what, size), []).append(seconds / count * 1e6)
        if len(crash) < 3:
            crash.append(_run([crash_path, "-s", vmlinux, core], "net\nquit\n"))
            assert "veth999" in crash[-1][2]

    seconds, memory = _median(whole)
    btf_seconds, btf_memory = _median(whole_btf)
    crash_seconds, crash_memory = _median(crash)
    per_device = {key: statistics.median(values) for key, values in inside.items()}
    print(f"{made.kernel.release}, {large} veth pairs, medians of {ROUNDS} runs")
    print(f"report, whole process: {seconds:.3f} s, {memory:.0f} MiB")
    print(f"report from BTF, whole process: {btf_seconds:.3f} s, {btf_memory:.0f} MiB")
    print(f"crash net, whole process: {crash_seconds:.3f} s, {crash_memory:.0f} MiB")
    for size in SIZES:
        print(
            f"{size} pairs, per device: floor {per_device['floor', size]:.1f} us, "
            f"Snapshot {per_device['snapshot', size]:.1f} us; "
            f"no drgn objects {per_device['raw', size]:.1f} us"
        )
    times = crash_seconds / seconds
    same = per_device["snapshot", large] / per_device["same", large]
    floors = per_device["snapshot", large] / per_device["floor", large]
    of_btf = btf_seconds / seconds
    memories = btf_memory / crash_memory
    growth = per_device["snapshot", large] / per_device["snapshot", small]
    traffic = per_device["traffic", large] / per_device["snapshot", large] - 1
    met = [
        _told("crash / report, time", times, "at least 8", times >= 8),
        _told("Snapshot / reading the same structs", same, "at most 2.5", same <= 2.5),
        _told("counters / rest of the Snapshot", traffic, "at most 1", traffic <= 1),
        _told("per device, 1000 / 100 pairs", growth, "at most 1.1", growth <= 1.1),
        _told("BTF / DWARF, time", of_btf, "at most 1.0", of_btf <= 1.0),
        _told("BTF / crash, memory", memories, "below 0.4", memories < 0.4),
    ]
    if others:
        than = seconds / _median(others)[0]
        met.append(_told("whole process / other tree", than, "at most 1.0", than <= 1))
    print(f"DWARF / crash, memory: {memory / crash_memory:.2f}")
    raw = per_device["snapshot", large] / per_device["raw", large]
    print(f"Snapshot / reading without drgn objects: {raw:.2f} (no goal)")
    print(f"Snapshot / floor: {floors:.2f} (no goal)")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
