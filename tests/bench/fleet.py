# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How fast many dumps are read
----------------------------

Copies of the recorded cores, by ``drgn-veth fleet`` with 1 and 2 workers: dumps a
second and worker, without the time that it takes to start. And what the second dump of
a kernel costs, against the first, in CPU seconds of the process that reads.
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
import tempfile
import time

__all__ = ("main",)

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "vmcores")]

DUMPS = 500
WORKERS = (1, 2)
_ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONPATH": str(REPOSITORY / "helpers"),
    "PYTHONPYCACHEPREFIX": str(REPOSITORY / "build" / "bytecode"),
}

_KEPT = """
import json, sys, time
from drgn_veth.btf.keep import keep_types
from drgn_veth.faces import fleet_reader
keep_types()
seconds = []
for path in sys.argv[1:]:
    start = time.process_time()
    fleet_reader._taken(path)
    seconds.append(time.process_time() - start)
print(json.dumps(seconds))
"""


def _fleet(folder: Path, output: Path, workers: int) -> float:
    """Return the seconds that it takes."""
    argv = [sys.executable, "-m", "drgn_veth", "fleet", folder, "--output", output]
    start = time.monotonic()
    subprocess.run(
        [*map(str, argv), "--workers", str(workers)],
        env=_ENVIRONMENT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - start


def _kept(cores: Sequence[Path]) -> float:
    """Return what the second dump of a kernel costs, as a part of the first."""
    parts = []
    for i, core in enumerate(cores):
        # Another kernel first: what a process does once is not counted.
        argv = [cores[i - 1], core, core]
        done = subprocess.run(
            [sys.executable, "-c", _KEPT, *map(str, argv)],
            env=_ENVIRONMENT,
            check=True,
            stdout=subprocess.PIPE,
        )
        _, first, second = json.loads(done.stdout)
        parts.append(second / first)
    return statistics.median(parts)


def main() -> int:
    """Measure, print, and return 1 if a goal is not met."""
    from tests.support.recorded import CORES, recorded_core

    parser = argparse.ArgumentParser(description="Measure how fast dumps are read.")
    parser.add_argument("--dumps", type=int, default=DUMPS)
    wanted = parser.parse_args().dumps
    cores = [recorded_core(name).core for name in CORES if name.endswith("-zoo")]
    part = _kept(cores)
    met = part < 0.6
    said = "met" if met else "NOT MET"
    print(f"second / first dump of a kernel, CPU: {part:.2f} (below 0.6: {said})")
    with tempfile.TemporaryDirectory(prefix="drgn-veth-bench-") as name:
        folder = Path(name) / "in"
        one = Path(name) / "one"
        for path in (folder, one):
            path.mkdir()
        shutil.copy(cores[0], one)
        for i in range(wanted):
            core = cores[i % len(cores)]
            shutil.copy(core, folder / f"{i:05}-{core.name}")
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{wanted} dumps of {len(cores)} kernels, {size >> 20} MB")
        for workers in WORKERS:
            start = _fleet(one, Path(name) / f"start{workers}", workers)
            output = Path(name) / f"out{workers}"
            seconds = _fleet(folder, output, workers)
            written = sum(p.stat().st_size for p in output.glob("*/*"))
            each = (wanted - 1) / (seconds - start) / workers
            print(
                f"{workers} workers: {seconds:.1f} s, of which {start:.1f} to start; "
                f"{each:.2f} dumps a second and worker; "
                f"{written / wanted / 1024:.0f} kB of results a dump"
            )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
