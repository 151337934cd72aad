# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What ten thousand pairs cost
----------------------------

Dumps of the scene ``scale`` in several sizes. Each command runs in a process of its
own, without debug symbols; its CPU seconds and its peak memory are compared with those
of a plain script for drgn, which opens the same dump with debug symbols, and reads the
name and one count of each device.

It writes the curve into docs/scale.md, with ``--sizes`` only those that are named.
``make bench`` takes an hour where QEMU emulates the CPU: for dumps that are there,
nothing boots.
"""

import argparse
from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import Any, NamedTuple

__all__ = ("main",)

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "vmcores"))

KERNEL = "6.1"
PAGE = REPOSITORY / "docs" / "scale.md"
#: Pairs, and the memory that a guest needs for them.
SIZES = {1000: 2048, 2500: 2048, 10000: 4096, 25000: 8192}
NAMESPACES = "50"
TIMEOUT = 7200  # seconds in the guest, which may be emulated
ROUNDS = 3

GOAL_PAIRS = 10000
MOST_TIMES = 2.0  # of the CPU time of the plain script
MOST_MEMORY = 200  # MB
MOST_GROWTH = 1.1  # of the CPU time per pair, up to the largest dump

_PLAIN = """
from drgn.helpers.linux.net import for_each_net, for_each_netdev
for net in for_each_net(prog):
    for dev in for_each_netdev(net):
        dev.name.string_(), dev.num_rx_queues.value_()
"""

#: What is measured: a name, and the words after the command's own.
COMMANDS: Mapping[str, Sequence[str]] = {
    "JSON": ("report", "--format", "json"),
    "table": ("report",),
    "CSV": ("report", "--format", "csv"),
    "attach --all": ("attach", "--all"),
    "attach --all, JSON": ("attach", "--all", "--format", "json"),
}
PLAIN = "plain script"

_ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(REPOSITORY / "helpers"),
    "PYTHONPYCACHEPREFIX": str(REPOSITORY / "build" / "bytecode"),
    "DRGN_DISABLE_PLUGINS": "drgn_veth",
}


class _Cost(NamedTuple):
    cpu: float  # seconds
    memory: float  # MB at most
    output: float  # MB


def _run(argv: Sequence[object]) -> _Cost:
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [str(arg) for arg in argv],
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        size = os.fstat(out.fileno()).st_size
    if status:
        raise SystemExit(f"bench: {argv[0]} failed with status {status}")
    return _Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, size / 1e6)


def _measured(made: Any, script: Path) -> dict[str, _Cost]:
    symbols = ["-s", made.kernel.vmlinux, "-s", made.kernel.debug_modules["veth"]]
    drgn = [sys.executable, "-m", "drgn", "-q", "-c", made.vmcore]
    ours = [sys.executable, "-m", "drgn_veth"]
    commands: dict[str, list[object]] = {PLAIN: [*drgn, *symbols, script]}
    for name, (face, *words) in COMMANDS.items():
        commands[name] = [*ours, face, "-c", made.vmcore, *words]
    # Turn about, so that a busy moment of the machine falls on all.
    rounds = [{n: _run(argv) for n, argv in commands.items()} for _ in range(ROUNDS)]
    return {
        name: _Cost(
            min(one[name].cpu for one in rounds),
            max(one[name].memory for one in rounds),
            rounds[0][name].output,
        )
        for name in commands
    }


def _told(what: str, value: float, most: float, unit: str = "") -> bool:
    met = value <= most
    print(
        f"{what}: {value:.2f}{unit} "
        f"(at most {most:g}{unit}: {'met' if met else 'NOT MET'})"
    )
    return met


def _growth(costs: Mapping[int, Mapping[str, _Cost]], name: str) -> float:
    # CPU time per pair, in the last part of the curve and in the part before it: what a
    # process does once is not counted. Of fewer pairs, that is too little to compare.
    first, second, last = sorted(costs)[-3:]

    def slope(low: int, high: int) -> float:
        return (costs[high][name].cpu - costs[low][name].cpu) / (high - low)

    return slope(second, last) / slope(first, second)


def _verdict(costs: Mapping[int, Mapping[str, _Cost]]) -> bool:
    met = []
    if GOAL_PAIRS in costs:
        of_goal = costs[GOAL_PAIRS]
        for name in COMMANDS:
            times = of_goal[name].cpu / of_goal[PLAIN].cpu
            # The answers to attaches are three times as long as the report.
            longer = max(1.0, of_goal[name].output / of_goal["JSON"].output)
            met.append(_told(f"{name} / {PLAIN}, CPU time", times, MOST_TIMES * longer))
            met.append(
                _told(f"{name}, memory", of_goal[name].memory, MOST_MEMORY, " MB")
            )
    if len(costs) > 2:
        for name in COMMANDS:
            what = f"{name}, CPU time per pair, {max(costs)} pairs / fewer"
            met.append(_told(what, _growth(costs, name), MOST_GROWTH))
    return all(met)


def _page(costs: Mapping[int, Mapping[str, _Cost]], release: str) -> str:
    names = [PLAIN, *COMMANDS]

    def table(cell: Any) -> list[str]:
        head = ["pairs", *names]
        rows = [
            [f"{size:,}", *(cell(costs[size][name]) for name in names)]
            for size in sorted(costs)
        ]
        return [
            f"| {' | '.join(head)} |",
            "|--:" * len(head) + "|",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]

    return "\n".join(
        (
            "# What ten thousand pairs cost",
            "",
            f"`make bench` measures it, and writes this page: Linux {release},",
            f"veth pairs over {NAMESPACES} namespaces in a kdump, each command in a",
            "process of its own, by BTF. The plain script runs under drgn: it opens",
            "the dump with debug symbols, and reads the name and the number of RX",
            "queues of each device.",
            "",
            "CPU seconds:",
            "",
            *table(lambda cost: f"{cost.cpu:.1f}"),
            "",
            "Peak memory in MB:",
            "",
            *table(lambda cost: f"{cost.memory:.0f}"),
            "",
            "Output in MB:",
            "",
            *table(lambda cost: f"{cost.output:.1f}"),
            "",
            "The number of function calls per pair stays the same. Each call takes a",
            "bit longer, because the data no longer fits into the CPU's caches.",
            "",
        )
    )


def main() -> int:
    """Measure, print, and return 1 if a goal is not met."""
    import lab

    parser = argparse.ArgumentParser(description="Measure what many pairs cost.")
    parser.add_argument(
        "--sizes", type=int, nargs="+", choices=SIZES, default=list(SIZES)
    )
    sizes = parser.parse_args().sizes
    costs: dict[int, dict[str, _Cost]] = {}
    release = ""
    with tempfile.TemporaryDirectory(prefix="drgn-veth-bench-") as folder:
        script = Path(folder) / "plain.py"
        script.write_text(_PLAIN)
        for size in sizes:
            made = lab.make(
                KERNEL, "scale", env={"N": str(size), "M": NAMESPACES},
                memory_mb=SIZES[size], timeout=TIMEOUT,
            )  # fmt: skip
            release = made.kernel.release
            costs[size] = _measured(made, script)
            for name, cost in costs[size].items():
                print(
                    f"{size} pairs, {name}: CPU {cost.cpu:.2f} s, "
                    f"{cost.memory:.0f} MB, {cost.output:.1f} MB of output",
                    flush=True,
                )
    PAGE.write_text(_page(costs, release))
    return 0 if _verdict(costs) else 1


if __name__ == "__main__":
    sys.exit(main())
