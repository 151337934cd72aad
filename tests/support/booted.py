# SPDX-License-Identifier: LGPL-2.1-or-later
"""A booted kernel with a scene, and the reports of it from every side."""

import base64
import json
import lzma
import mmap
import os
from pathlib import Path
import subprocess
import sys
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import lab

from tests.support import oracle
from tests.support.scripts import REPOSITORY, SCRIPT, SLICE_SCRIPT

__all__ = (
    "KERNELS",
    "NO_SYMBOLS",
    "OF_AN_ATTACH",
    "OF_A_PAIR",
    "OLD",
    "OLDER_BUILDS",
    "OLDER_INSTEAD",
    "REPOSITORY",
    "SCRIPT",
    "SLICE_SCRIPT",
    "SOURCES",
    "WORDS",
    "Dump",
    "RulesRun",
    "Tally",
    "drgn",
    "look_at_guest",
    "look_before_asking",
    "make_dump",
    "rules_run",
    "run_alone",
    "try_fixes",
    "words_in",
)

KERNELS = os.environ.get("LAB_KERNELS", "5.10 6.1 6.12 7").split()
#: Older builds, by scene: 6.12 with bugs of veth that the newest have not; and, instead
#: of the newest, 6.1 with other places of the checks of an attach, and a bond that says
#: less. A scene more is a minute more.
OLDER_BUILDS = {"rules": ["6.12-oldest"]}
OLDER_INSTEAD = {("random", "6.1"): "6.1-oldest"}
if "LAB_KERNELS" in os.environ:
    OLDER_BUILDS.clear()
    OLDER_INSTEAD.clear()
SOURCES = ("kdump", "elf", "qemu", "kcore")
NO_SYMBOLS = ("--no-default-symbols",)

#: Kernels that do not tell all by themselves: before v6.0 VMCOREINFO does not say
#: where kallsyms is, before v5.11 modules have no BTF.
_OLD_SERIES = "5.10"
OLD = [kernel for kernel in KERNELS if kernel.startswith(_OLD_SERIES)]

#: What vmcores/lab/guest/marker.py put into packets and into a process. Put together
#: here, as there, so that no file has them.
WORDS = {what: "-".join(("DRGN", "VETH", what)).encode() for what in ("PACKET", "USER")}

# In the guest: the reports by DWARF and by BTF, a slice, and the report from that.
_LIVE = """\
set -e
cd /tmp
live="python3 -m drgn -q -k"
alone=--no-default-symbols
symbols="-s /kernel/vmlinux -s /kernel/debug/veth.ko.debug"
report=/lab/repo/drgn_scripts/veth_report.py
$live $symbols $report --format json --output /tmp/dwarf.json
$live $alone $report --format json --output /tmp/btf.json
$live {slice} /lab/repo/drgn_scripts/vmcore_slice.py /tmp/live.core
slice="python3 -m drgn -q -c /tmp/live.core"
$slice $alone $report --format json --output /tmp/slice.json
chmod 755 /tmp
nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
refused=0
$nobody python3 $report >/tmp/refused.out 2>/tmp/refused.err || refused=$?
echo $refused >/tmp/refused.status
python3 - <<'END'
import base64, json, lzma
files = {{n: open(f"/tmp/{{n}}.json").read() for n in ("dwarf", "btf", "slice")}}
core = open("/tmp/live.core", "rb").read()
words = ["-".join(("DRGN", "VETH", what)) for what in ("PACKET", "USER")]
refused = [open(f"/tmp/refused.{{n}}").read() for n in ("status", "out", "err")]
words = [word for word in words if word.encode() in core]
said = {{"files": files, "refused": refused, "words": words}}
print(base64.b64encode(lzma.compress(json.dumps(said).encode())).decode())
END
rm /tmp/live.core
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


class Dump:
    """A kernel with a scene, and the reports of it from every side."""

    def __init__(self, made: lab.Result) -> None:
        self.made = made
        self.vmcore = made.vmcore
        self.vmlinux = made.kernel.vmlinux
        self.veth = made.kernel.debug_modules["veth"]
        self.truth: Dict[str, Any] = json.loads(made.truth.read_text())

    @property
    def symbols(self) -> List[object]:
        return ["-s", self.vmlinux, "-s", self.veth]

    def report_text(self, source: str, types: str = "dwarf") -> str:
        name = source if types == "dwarf" else f"{source}.{types}"
        return (self.made.folder / f"report.{name}.json").read_text()

    def report(self, source: str = "kdump", types: str = "dwarf") -> Dict[str, Any]:
        """
        Return a report.

        :param types: ``dwarf``, ``btf``, or ``slice`` for the one from a slice
        """
        report: Dict[str, Any] = json.loads(self.report_text(source, types))
        return report

    @property
    def is_old(self) -> bool:
        return self.made.kernel.short_series == _OLD_SERIES

    def words_in(self, what: str) -> List[str]:
        """Return which of the WORDS a file has: "elf", "slice.elf", "slice.kcore"."""
        said: Dict[str, List[str]] = json.loads(
            (self.made.folder / "words.json").read_text()
        )
        return said[what]

    def run(self, *args: object, **kwargs: Any) -> "subprocess.CompletedProcess[str]":
        return self.run_script(SCRIPT, *args, **kwargs)

    def run_script(
        self, script: Path, *args: object, **kwargs: Any
    ) -> "subprocess.CompletedProcess[str]":
        return drgn("-c", self.vmcore, *self.symbols, script, *args, **kwargs)


def _symbols(guest: lab.Guest) -> Sequence[object]:
    debug = guest.kernel.debug_modules["veth"]
    return ("-s", guest.kernel.vmlinux, "-s", debug)


def words_in(path: Path) -> List[str]:
    """Return which of the WORDS a file has."""
    with open(path, "rb") as f:
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return [what for what in WORDS if content.find(WORDS[what]) >= 0]


def _script(script: Path, target: Sequence[object], *args: object) -> None:
    done = drgn(*target, script, *args)
    assert done.returncode == 0, f"{target}: {done.stderr}"


def _report(target: Sequence[object], folder: Path, name: str) -> None:
    path = folder / f"report.{name}.json"
    _script(SCRIPT, target, "--format", "json", "--output", path)


def _reports(
    target: Sequence[object], symbols: Sequence[object], folder: Path, source: str
) -> None:
    # By DWARF, and by BTF alone.
    _report((*target, *symbols), folder, source)
    _report((*target, *NO_SYMBOLS), folder, f"{source}.btf")


def _slice(target: Sequence[object], folder: Path, source: str) -> List[str]:
    path = folder / f"slice.{source}.core"
    _script(SLICE_SCRIPT, target, path)
    _report(("-c", path, *NO_SYMBOLS), folder, f"{source}.slice")
    return words_in(path)


def look_before_asking(guest: lab.Guest, folder: Path) -> None:
    """
    Make the reports of a dump of the scene in which nobody has attached XDP to every
    device yet, which leaves traces: rings, limits of the MTU, numbers of queues.
    """
    dump = folder / "vmcore.unasked.elf"
    symbols = _symbols(guest)
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
    symbols = _symbols(guest)
    is_old = guest.kernel.short_series == _OLD_SERIES
    needed = symbols if is_old else NO_SYMBOLS
    words: Dict[str, List[str]] = {}
    dump = folder / "vmcore.elf"
    of_source: Tuple[Tuple[str, Sequence[object]], ...] = (
        ("qemu", ("--qemu", guest.qmp_socket)),
        ("elf", ("-c", dump)),
    )
    try:
        for source, target in of_source:
            if source == "elf":
                guest.qmp_dump_elf(dump)
                words["elf"] = words_in(dump)
            _reports(target, symbols, folder, source)
            words[f"slice.{source}"] = _slice((*target, *needed), folder, source)
    finally:
        # As large as the guest's memory.
        dump.unlink(missing_ok=True)
    in_guest = "$symbols" if needed is symbols else "$alone"
    encoded = guest.run(_LIVE.format(slice=in_guest), timeout=300)
    live = json.loads(lzma.decompress(base64.b64decode(encoded.split()[-1])))
    for name, types in (("dwarf", ""), ("btf", ".btf"), ("slice", ".slice")):
        (folder / f"report.kcore{types}.json").write_text(live["files"][name])
    words["slice.kcore"] = live["words"]
    (folder / "refused.json").write_text(json.dumps(live["refused"]))
    (folder / "words.json").write_text(json.dumps(words))


#: Rules that say how the kernel refuses a native attach, and what it answers then.
OF_AN_ATTACH = (
    "xdp-native-queues",
    "xdp-peer-mtu",
    "xdp-mode-conflict",
    "xdp-upper-program",
)

#: Rules about a pair: the finding is at the end that is not what its maker asked for.
OF_A_PAIR = ("queues-one-sided",)


class RulesRun(NamedTuple):
    """What the rules found, and what came of the fixes."""

    symptoms: List[Dict[str, Any]]
    before: List[Dict[str, Any]]
    after: List[Dict[str, Any]]
    #: For each symptom that has a finding: its commands, what is left of it, and what
    #: the kernel answers to a native attach then.
    fixed: List[Dict[str, Any]]
    has_channels: bool


def _findings(guest: lab.Guest, folder: Path, name: str) -> List[Dict[str, Any]]:
    path = folder / f"findings.{name}.json"
    target = ("--qemu", guest.qmp_socket, *_symbols(guest))
    _script(SCRIPT, target, "--format", "json", "--output", path)
    findings: List[Dict[str, Any]] = json.loads(path.read_text())["findings"]
    return findings


def _said(text: str, word: str = "symptom: ") -> List[Dict[str, Any]]:
    lines = [line for line in text.splitlines() if line.startswith(word)]
    return [json.loads(line[len(word) :]) for line in lines]


def _is_of(finding: Dict[str, Any], symptom: Dict[str, Any]) -> bool:
    device = finding["device"]
    if finding["rule"] != symptom["rule"] or device is None:
        return False
    if symptom["rule"] in OF_A_PAIR:  # The scene calls the ends ...a and ...b.
        return bool(device["name"][:-1] == symptom["name"][:-1])
    return bool(
        (device["netns"], device["ifindex"]) == (symptom["netns"], symptom["ifindex"])
    )


def try_fixes(guest: lab.Guest, folder: Path) -> None:
    """Run the commands of the findings in the guest (a hook of the lab)."""
    symptoms = _said((folder / "scene.log").read_text())
    before = _findings(guest, folder, "before")
    fixed = []
    for symptom in symptoms:
        for finding in before:
            if symptom["shown"] is not True or not _is_of(finding, symptom):
                continue
            failed = []
            undo = finding.get("undo")
            commands = [*finding["fix"], *(undo["commands"] if undo else ())]
            for command in commands:
                status, output = guest.try_run(command)
                if status:
                    failed.append(f"{command}: {output.strip()}")
            again: List[Dict[str, Any]] = []
            answers: List[Dict[str, Any]] = []
            if commands:
                measure = "python3 /lab/guest/symptoms.py"
                rule, name = symptom["rule"], symptom["name"]
                again = _said(guest.run(f"{measure} {rule} {name}"))
                if rule in OF_AN_ATTACH:
                    told = guest.run(f"{measure} attach {name}")
                    answers = _said(told, "answer: ")
            left = {
                "fix": finding["fix"],
                "undo": undo,
                "failed": failed,
                "shown": again[0]["shown"] if again else None,
                "again": again,
                "then": finding.get("then"),
                "answer": answers[0] if answers else None,
            }
            fixed.append({**symptom, **left})
            break
    after = _findings(guest, folder, "after")
    status, _ = guest.try_run("ethtool -l rnqa")
    document = {
        "symptoms": symptoms,
        "before": before,
        "after": after,
        "fixed": fixed,
        "has_channels": status == 0,
    }
    (folder / "rules.json").write_text(json.dumps(document, indent=1))


def rules_run(dump: Dump) -> RulesRun:
    """Return what :func:`try_fixes()` left."""
    return RulesRun(**json.loads((dump.made.folder / "rules.json").read_text()))


def make_dump(kernel: str, scene: str, out_dir: Path, **kwargs: Any) -> Dump:
    """Boot a kernel, set a scene, look, panic."""
    made = lab.make(kernel, scene, out_dir=out_dir, force=True, **kwargs)
    dump = Dump(made)
    _reports(("-c", dump.vmcore), dump.symbols, made.folder, "kdump")
    return dump


#: Comparisons, by what was compared.
Tally = Dict[str, "oracle.Comparison"]
