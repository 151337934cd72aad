# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted kernel with a scene, and the reports of it from every side."""

from collections.abc import Sequence
import json
import mmap
import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

from drgn_veth.analysis.drops import EXPLAINED
from drgn_veth.btf.declarations import MODULE_TYPES, OPTIONAL_MODULE_TYPES
import lab

from tests.support import oracle
from tests.support.scripts import REPOSITORY, SCRIPT, SLICE_SCRIPT

__all__ = (
    "BOOTED_ON",
    "ELSEWHERE",
    "KERNELS",
    "MODULES",
    "NO_SYMBOLS",
    "OLD",
    "OLDER_INSTEAD",
    "REPOSITORY",
    "SCRIPT",
    "SLICE_SCRIPT",
    "SOURCES",
    "WORDS",
    "Dump",
    "Tally",
    "drgn",
    "look_at_guest",
    "look_before_asking",
    "make_and_ask",
    "make_dump",
    "run_alone",
    "settled",
    "run_on",
    "symbols_of",
    "words_in",
)

_NAMES = os.environ.get("LAB_KERNELS", "5.10 6.1 6.12 7 6.12-arm64").split()
_IS_ELSEWHERE = {
    name: lab.split_name(name)[1].arch != lab.AMD64.arch for name in _NAMES
}
KERNELS = [name for name in _NAMES if not _IS_ELSEWHERE[name]]
#: Kernels whose dumps need debug symbols: before v6.0 VMCOREINFO does not say where
#: kallsyms is, before v5.11 modules have no BTF.
_OLD_SERIES = "5.10"
OLD = [kernel for kernel in KERNELS if kernel.startswith(_OLD_SERIES)]
#: Those of other machines, which boot the scene zoo.
ELSEWHERE = [name for name in _NAMES if _IS_ELSEWHERE[name]]
#: Older builds in place of the newest: a 6.12 with bugs of veth that are mended now;
#: a 6.1 with other places for the checks of an attach, and a bond with fewer messages.
OLDER_INSTEAD = {("random", "6.1"): "6.1-oldest", ("rules", "6.12"): "6.12-oldest"}
#: Where scenes boot that do not boot on all kernels: a boot takes a minute. With
#: make test-vm-scenes they do.
BOOTED_ON = {
    # make test-slow has the answers of a recorded 6.1 and 7.3 with the scene attach.
    **dict.fromkeys(("attach", "counters", "dying", "path"), KERNELS[:1]),
    **dict.fromkeys(("asked", "corners", "crowd", "flight", "maps"), KERNELS[-1:]),
    **dict.fromkeys(("moving", "random_path", "teardown"), KERNELS[-1:]),
    # It also has the values of a recorded 6.1 with the scene whose.
    "whose": KERNELS[-1:],
    "random": [k for k in KERNELS if k in ("6.1", KERNELS[-1])],
    "rules": KERNELS[1:],
}
if "LAB_KERNELS" in os.environ:
    OLDER_INSTEAD.clear()
    BOOTED_ON.clear()
BOOTED_ON["elsewhere"] = ELSEWHERE
# A report inside the guest has no debug symbols, and veth takes no ethtool -L.
BOOTED_ON["moving"] = [k for k in BOOTED_ON.get("moving", KERNELS) if k not in OLD]
SOURCES = ("kdump", "elf", "qemu", "kcore")
NO_SYMBOLS = ("--no-default-symbols",)

#: Modules that have types of their own which a report needs.
MODULES = tuple(name for _, name in (*MODULE_TYPES, *OPTIONAL_MODULE_TYPES))

#: vmcores/lab/guest/marker.py puts these into packets and into a process. They are put
#: together here, as there, so that no file has them.
WORDS = {what: "-".join(("DRGN", "VETH", what)).encode() for what in ("PACKET", "USER")}

# In the guest: the reports by DWARF and by BTF, and a slice.
_LIVE = """\
set -e
mkdir -p /out/kept
cd /out/kept
live="python3 -m drgn -q -k"
alone=--no-default-symbols
symbols="-s /kernel/vmlinux"
for name in {modules}; do
    symbols="$symbols -s /kernel/debug/$name.ko.debug"
done
report="/lab/repo/drgn_scripts/veth_report.py --format json --output"
$live $symbols $report report.kcore.json
$live $alone $report report.kcore.btf.json
$live {slice} /lab/repo/drgn_scripts/vmcore_slice.py slice.kcore.core
"""

# In the guest: without rights.
_REFUSED = """\
set -e
report=/lab/repo/drgn_scripts/veth_report.py
chmod 755 /tmp
nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
refused=0
$nobody python3 $report >/tmp/refused.out 2>/tmp/refused.err || refused=$?
echo $refused >/tmp/refused.status
masked=0
unshare -m sh -c "mount --bind /dev/null /proc/kcore && exec python3 $report" \
    >/tmp/masked.out 2>/tmp/masked.err || masked=$?
echo $masked >/tmp/masked.status
python3 - <<'END'
import json
refused = {
    how: [open(f"/tmp/{how}.{n}").read() for n in ("status", "out", "err")]
    for how in ("refused", "masked")
}
print(json.dumps(refused))
END
"""


def drgn(
    *args: object, cwd: object = "/", python: str = sys.executable
) -> "subprocess.CompletedProcess[str]":
    """Run drgn's command line as a user would."""
    return subprocess.run(
        [python, "-m", "drgn", "-q", *map(str, args)],
        cwd=str(cwd),
        capture_output=True,
        text=True,
        timeout=300,
    )


def run_alone(
    *args: object, script: Path = SCRIPT
) -> "subprocess.CompletedProcess[str]":
    """Run a script by python3, without drgn's command line."""
    return subprocess.run(
        [sys.executable, str(script), *map(str, args)],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
    )


def _symbols(kernel: lab.Kernel) -> list[object]:
    symbols: list[object] = ["-s", kernel.vmlinux]
    for name in MODULES:
        symbols += ["-s", kernel.debug_modules[name]]
    return symbols


def settled(text: str) -> str:
    """
    Return a report without what differs from one moment to the next: the processes of
    the host, the one that makes the report among them, what was counted, what rules say
    of that, and what is in flight.
    """
    text = re.sub(r'"in_flight": \[(\n\{.*)*\n?\],', '"in_flight": [],', text)
    of_counters = tuple(f'{{"rule": "{rule}"' for rule in EXPLAINED.values())
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith('{"inum": ') and '"init": true' in line:
            record = json.loads(line.rstrip(","))
            for key in ("task_count", "tasks"):
                del record[key]
            line = json.dumps(record) + line[len(line.rstrip(",")) :]
        elif line.startswith('{"cpu": '):
            continue
        elif line.startswith(of_counters):
            if not line.endswith(","):
                lines[-1] = lines[-1].rstrip(",")
            continue
        elif line.startswith('{"netns": ') and '"stats": ' in line:
            record = json.loads(line.rstrip(","))
            for key in ("stats", "queue_stats", "qdisc_stats"):
                record.pop(key, None)
            line = json.dumps(record) + line[len(line.rstrip(",")) :]
        lines.append(line)
    return "\n".join(lines)


class Dump:
    """A kernel with a scene, and the reports of it from every side."""

    def __init__(self, made: lab.Result) -> None:
        self.made = made
        self.vmcore = made.vmcore
        self.vmlinux = made.kernel.vmlinux
        self.veth = made.kernel.debug_modules["veth"]
        self.truth: dict[str, Any] = json.loads(made.truth.read_text())

    @property
    def symbols(self) -> list[object]:
        return _symbols(self.made.kernel)

    def report_text(self, source: str, types: str = "dwarf") -> str:
        name = source if types == "dwarf" else f"{source}.{types}"
        return (self.made.folder / f"report.{name}.json").read_text()

    def report(self, source: str = "kdump", types: str = "dwarf") -> dict[str, Any]:
        """
        Return a report.

        :param types: ``dwarf``, ``btf``, or ``slice`` for the one from a slice
        """
        report: dict[str, Any] = json.loads(self.report_text(source, types))
        return report

    @property
    def symbol_files(self) -> list[object]:
        """Return the files that have the debug symbols of a report."""
        return self.symbols[1::2]

    @property
    def is_old(self) -> bool:
        return self.made.kernel.short_series == _OLD_SERIES

    def slice_of(self, source: str) -> Path:
        """Return the slice that was made of a source, or of "unasked"."""
        return _slice_of(self.made.folder, source)

    def words_in_memory(self) -> list[str]:
        """Return which of the WORDS the dump by QEMU had, which is not kept."""
        said: list[str] = json.loads((self.made.folder / "words.json").read_text())
        return said

    def run(self, *args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        return self.run_script(SCRIPT, *args, **kwargs)

    def run_script(
        self, script: Path, *args: object, **kwargs: Any
    ) -> "subprocess.CompletedProcess[str]":
        return drgn("-c", self.vmcore, *self.symbols, script, *args, **kwargs)


def symbols_of(guest: lab.Guest) -> Sequence[object]:
    """Return the options of drgn that load the debug symbols of a guest's kernel."""
    return _symbols(guest.kernel)


def words_in(path: Path) -> list[str]:
    """Return which of the WORDS a file has."""
    with open(path, "rb") as f:
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return [what for what in WORDS if content.find(WORDS[what]) >= 0]


def run_on(script: Path, target: Sequence[object], *args: object) -> None:
    """Run a script on a target, given by drgn's options; it must succeed."""
    done = drgn(*target, script, *args)
    assert done.returncode == 0, f"{target}: {done.stderr}"


def _report(target: Sequence[object], folder: Path, name: str) -> None:
    path = folder / f"report.{name}.json"
    run_on(SCRIPT, target, "--format", "json", "--output", path)


def _reports(
    target: Sequence[object], symbols: Sequence[object], folder: Path, source: str
) -> None:
    # By DWARF, and by BTF alone.
    _report((*target, *symbols), folder, source)
    _report((*target, *NO_SYMBOLS), folder, f"{source}.btf")


def _slice_of(folder: Path, source: str) -> Path:
    return folder / f"slice.{source}.core"


def _slice(target: Sequence[object], folder: Path, source: str) -> None:
    run_on(SLICE_SCRIPT, target, _slice_of(folder, source))
    _report_of_slice(folder, source)


def _report_of_slice(folder: Path, source: str) -> None:
    target = ("-c", _slice_of(folder, source), *NO_SYMBOLS)
    _report(target, folder, f"{source}.slice")


def look_before_asking(guest: lab.Guest, folder: Path) -> None:
    """
    Make the reports of a dump from before the prober, which attaches XDP to every
    device and so leaves traces: rings, limits of the MTU, numbers of queues.
    """
    dump = folder / "vmcore.unasked.elf"
    symbols = symbols_of(guest)
    is_old = guest.kernel.short_series == _OLD_SERIES
    try:
        guest.qmp_dump_elf(dump)
        _reports(("-c", dump), symbols, folder, "unasked")
        needed = symbols if is_old else NO_SYMBOLS
        _slice(("-c", dump, *needed), folder, "unasked")
    finally:
        dump.unlink(missing_ok=True)


def look_at_guest(guest: lab.Guest, folder: Path) -> None:
    """Make the reports that need the guest alive (a hook of the lab)."""
    symbols = symbols_of(guest)
    is_old = guest.kernel.short_series == _OLD_SERIES
    needed = symbols if is_old else NO_SYMBOLS
    dump = folder / "vmcore.elf"
    of_source: tuple[tuple[str, Sequence[object]], ...] = (
        ("qemu", ("--qemu", guest.qmp_socket)),
        ("elf", ("-c", dump)),
    )
    try:
        for source, target in of_source:
            if source == "elf":
                guest.qmp_dump_elf(dump)
                (folder / "words.json").write_text(json.dumps(words_in(dump)))
            _reports(target, symbols, folder, source)
            _slice((*target, *needed), folder, source)
    finally:
        # As large as the guest's memory.
        dump.unlink(missing_ok=True)
    if guest.kernel.machine.has_drgn:
        _look_inside(guest, folder, needed)


def _look_inside(guest: lab.Guest, folder: Path, needed: Sequence[object]) -> None:
    # By the drgn that is in the guest.
    in_guest = "$alone" if needed is NO_SYMBOLS else "$symbols"
    guest.run(_LIVE.format(slice=in_guest, modules=" ".join(MODULES)), timeout=900)
    if guest.kernel.release == lab.get_kernel(KERNELS[-1]).release:
        refused = guest.run(_REFUSED, timeout=300).splitlines()[-1]
        (folder / "refused.json").write_text(refused)


def make_dump(kernel: str, scene: str, out_dir: Path, **kwargs: Any) -> Dump:
    """Boot a kernel, set a scene, make the reports, panic."""
    made = lab.make(kernel, scene, out_dir=out_dir, force=True, **kwargs)
    dump = Dump(made)
    _reports(("-c", dump.vmcore), dump.symbols, made.folder, "kdump")
    if dump.slice_of("kcore").exists():
        _report_of_slice(made.folder, "kcore")
    return dump


def make_and_ask(
    kernel: str, out_dir: Path, program: Path, *files: Path
) -> tuple[Dump, dict[str, Any]]:
    """
    Boot a kernel, run a program in it, panic.

    :param program: Leaves behind what the test wants, and prints as its last line, in
        JSON, what the kernel says of it
    :param files: Its arguments
    :return: The dump, and that answer
    """
    answers: dict[str, Any] = {}
    inside = {f"/lab/{path.name}": path for path in (program, *files)}

    def look(guest: lab.Guest, folder: Path) -> None:
        told = guest.run(" ".join(("python3", *inside)))
        answers.update(json.loads(told.splitlines()[-1]))

    made = lab.make(
        kernel, "minimal", out_dir=out_dir, hooks=[look], files=inside, force=True
    )
    return Dump(made), answers


#: Comparisons, by what they compare.
Tally = dict[str, "oracle.Comparison"]
