# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands at drgn's prompt: %veth, %netns, %xdp, %rps, %drops, %path."""

import ast
from collections.abc import Callable, Iterator
import contextlib
import io
import os
from pathlib import Path
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from typing import Any

import drgn
from drgn import Program
from drgn.commands import CommandArgumentError, run_command
import drgn_veth
from drgn_veth.analysis.filters import Wanted, matching
from drgn_veth.analysis.rules.sent import sent_queues
from drgn_veth.faces import netns_report, veth_report
from drgn_veth.faces.prompt.code import HELPERS
from drgn_veth.faces.status import TargetError
from drgn_veth.model import XDP_MODES, Device, Namespace, XdpProgram
from drgn_veth.render.attempts import Attempt
from drgn_veth.render.rps import queues
from drgn_veth.render.style import PLAIN
from drgn_veth.render.width import width
from drgn_veth.render.xdp import programs
import drgn_veth_plugin
import pytest

from tests.support.examples import known_at_prompt
from tests.support.recorded import recorded_core
from tests.support.scripts import REPOSITORY, user_core
from tests.support.slow import slow_but

NAME = "6.12-zoo"
NAMES = tuple(drgn_veth_plugin.COMMANDS)
every_command = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def prog() -> Program:
    return recorded_core(NAME).prog


@pytest.fixture(scope="module")
def snapshot() -> Any:
    return recorded_core(NAME).snapshot


def shown(prog: Program, command: str) -> tuple[str, Any]:
    """Return what a command prints, and the records."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        left = run_command(prog, command, globals={"prog": prog})
    return printed.getvalue(), left


@pytest.mark.parametrize(
    "command, main",
    [
        ("veth", veth_report.main),
        ("veth --all --netns pod1", veth_report.main),
        ("veth --format json --kind netkit", veth_report.main),
        ("netns", netns_report.main),
        ("netns --devices --pid 1", netns_report.main),
    ],
)
def test_as_the_script(command: str, main: Callable[..., int], prog: Program) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(prog, shlex.split(command)[1:]) == 0
    same = printed.getvalue().replace("xdp_attach.py DEVICE", "%xdp DEVICE")
    same = same.replace(
        "  all that are refused now: xdp_attach.py --all --failing --mode driver\n", ""
    )
    assert shown(prog, command)[0] == same != ""


def test_what_is_told_to_type(prog: Program) -> None:
    """A command of the prompt, and no script."""
    text = shown(prog, "veth")[0]
    assert "why, and what to do about it: %xdp DEVICE\n" in text
    assert "xdp_attach.py" not in text


def test_records_of_veth(prog: Program, snapshot: Any) -> None:
    _, devices = shown(prog, "veth veth_xxx0")
    assert [type(one) for one in devices] == [Device, Device]
    assert {one.name for one in devices} == {"veth_xxx0", "veth_yyy0"}
    _, devices = shown(prog, "veth --all")
    assert devices == list(snapshot.devices)


def test_records_of_netns(prog: Program) -> None:
    _, namespaces = shown(prog, "netns pod1 --netns pod2")
    assert [type(one) for one in namespaces] == [Namespace, Namespace]
    assert [one.label for one in namespaces] == ["pod1", "pod2"]


def test_records_of_xdp(prog: Program, snapshot: Any) -> None:
    printed, attempts = shown(prog, "xdp xlinka --mode native")
    assert [type(one) for one in attempts] == [Attempt, Attempt]
    assert {(one.device.name, one.mode) for one in attempts} == {("xlinka", "driver")}
    assert "driver zoo_link#3" in printed
    assert "by link 1: pinned at /run/lab/bpf/link_a" in printed
    assert attempts[0].answer.message in printed
    printed, attempts = shown(prog, "xdp")
    carriers = {
        device.net_device
        for device in snapshot.devices
        if any(isinstance(getattr(device.xdp, mode), XdpProgram) for mode in XDP_MODES)
    }
    shown_ones = {one.device.net_device for one in attempts}
    assert shown_ones > carriers
    # Slaves of a bond run its program, and have none of their own.
    assert {
        device.master.name
        for device in snapshot.devices
        if device.net_device in shown_ones - carriers
    } == {"bond_xdp"}


def test_records_of_rps(prog: Program, snapshot: Any) -> None:
    printed, devices = shown(prog, "rps rpsa")
    assert [one.name for one in devices] == ["rpsa"]
    assert "  rx2: RPS to CPUs 0,2, RFS 4096 flows\n" in printed
    assert "  rx3: no RPS\n" in printed
    _, devices = shown(prog, "rps")
    steering = {device for device in devices if any(q.cpus for q in device.rps)}
    assert steering == {
        device
        for device in snapshot.devices
        if isinstance(device.rps, tuple) and any(q.cpus for q in device.rps)
    }
    assert "no device has RPS" not in printed


def test_rps_of_what_is_sent(prog: Program) -> None:
    """As the rule rps-queue-out-of-range counts: 33 of 48."""
    printed, _ = shown(prog, "rps veth_yyy0")
    lines = [line.strip() for line in printed.splitlines()]
    assert [line for line in lines if line.startswith("what it sends")] == [
        "what it sends on tx0-14 is steered by rx0-13 of peer veth_xxx0 (host): RPS to",
        "what it sends on tx15-47 is not steered: peer veth_xxx0 (host) has only 14 RX",
    ]
    printed, _ = shown(prog, "rps veth_xxx0")
    assert printed.endswith("not steered: no RPS at peer veth_yyy0 (host)\n")
    assert printed.count("it sends") == 1


@every_command
def test_options_come_anywhere(name: str, prog: Program) -> None:
    one = {"netns": "host"}.get(name, "xpsa")
    two = {"netns": "pod1"}.get(name, "xnata")
    together, _ = shown(prog, f"{name} {one} {two} --kind veth")
    assert shown(prog, f"{name} {one} --kind veth {two}")[0] == together


@every_command
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(name: str, option: str, prog: Program) -> None:
    printed, left = shown(prog, f"{name} {option}")
    assert printed.startswith(f"usage: %{name} ")
    assert left is None
    assert drgn_veth_plugin.COMMANDS[name] in printed
    for said in ("--netns", "--kind", "--color", "--drgn", "left in _"):
        assert said in printed
    assert "--core" not in printed and "%(" not in printed


@every_command
@pytest.mark.parametrize(
    "wrong, said",
    [
        ("--bogus", "unrecognized arguments: --bogus"),
        ("--device vteh_xxx0", "no device matches 'vteh_xxx0'; nearest: veth_xxx0"),
        ("--netns pdo1", "no network namespace"),
        ("--kind vteh", "no device is of kind vteh; nearest: veth"),
        ("--address nonsense", "'nonsense' is not an IP address"),
        ("--core", "unrecognized arguments: --core"),
        ("--device xpsa --output /nonexistent/x", "cannot write /nonexistent/x"),
    ],
)
def test_mistake(
    name: str,
    wrong: str,
    said: str,
    prog: Program,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CommandArgumentError) as raised:
        run_command(prog, f"{name} {wrong}")
    line = str(raised.value)
    assert line.startswith(f"%{name}: ") and said in line
    assert line.isprintable()
    assert capsys.readouterr() == ("", "")


def test_unknown_device(prog: Program) -> None:
    for name in ("veth", "xdp", "rps"):
        with pytest.raises(CommandArgumentError, match="nearest: veth_xxx0"):
            run_command(prog, f"{name} veth_xxx")


def test_unknown_mode(prog: Program) -> None:
    with pytest.raises(CommandArgumentError, match="nearest: native"):
        run_command(prog, "xdp --mode nativ")


def test_not_a_kernel(tmp_path: Path) -> None:
    prog = Program()
    user_core(tmp_path / "core")
    prog.set_core_dump(tmp_path / "core")
    for name in NAMES:
        with pytest.raises(drgn.commands.CommandNotFoundError):
            run_command(prog, name)


@every_command
def test_what_cannot_be_read_is_one_line(
    name: str, prog: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TargetError("gone\x1b[31m")

    monkeypatch.setattr("drgn_veth.faces.opening.take", fail)
    with pytest.raises(TargetError) as raised:
        run_command(prog, name)
    assert str(raised.value) == "gone\\x1b[31m"


### --drgn


def ran(command: str) -> str:
    """Return what the code of ``--drgn`` prints."""
    core = recorded_core(NAME)
    code, left = shown(core.prog, f"{command} --drgn")
    assert left is None
    # As at a prompt of its own.
    known = known_at_prompt(core.core)
    drgn_veth_plugin.drgn_prog_set(known["prog"])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, command, "exec"), known)
    return printed.getvalue()


def paragraphs(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each line that is not indented, and those below it."""
    for part in re.split(r"\n(?! )", text.rstrip("\n")):
        first, *rest = part.split("\n")
        yield first, [line.strip() for line in rest]


def devices_in(text: str) -> dict[tuple[int, str], tuple[list[str], list[str]]]:
    """Return what is printed of each device."""
    found = {}
    for first, rest in paragraphs(text):
        inum, name, *more = first.split(" ")
        found[int(inum), name] = (more, rest)
    return found


def key(device: Any) -> tuple[int, str]:
    return device.netns, device.name


@pytest.mark.parametrize(
    "command, only",
    slow_but(
        [("veth veth_* rpsa", Wanted(names=("veth_*", "rpsa")))],
        [
            ("veth veth_* rpsa", Wanted(names=("veth_*", "rpsa"))),
            ("veth --netns pod1", Wanted(netns=(4026532309,))),
            ("veth --kind 'net*'", Wanted(kinds=("net*",))),
        ],
    ),
)
def test_code_of_veth(command: str, only: Wanted, snapshot: Any) -> None:
    found = devices_in(ran(command))
    by_ref = {device.ref: device for device in snapshot.devices}
    wanted: list[Any] = [d for d in matching(snapshot, only) if d.peer is not None]
    assert set(found) == {key(device) for device in wanted}
    for device in wanted:
        about, lines = found[key(device)]
        rx, tx = device.queues
        assert about == [
            *(device.kind, *device.flags, "mtu", str(device.mtu)),
            *("rx", f"{rx.real}/{rx.allocated}", "tx", f"{tx.real}/{tx.allocated}"),
        ]
        assert f"peer {device.peer.name} in {device.peer.netns}" in lines
        assert by_ref[device.peer]
        programs = [getattr(device.xdp, mode) for mode in XDP_MODES]
        assert [int(line.split()[-1]) for line in lines if "XDP" in line] == [
            program.id for program in programs if program
        ]
        assert [line for line in lines if line.startswith("RPS")] == [
            f"RPS rx{queue.queue} {' '.join(map(str, queue.cpus))}"
            for queue in device.rps
            if queue.cpus
        ]


@pytest.mark.slow
def test_code_of_netns(snapshot: Any) -> None:
    found = {}
    for first, rest in paragraphs(ran("netns")):
        inum, many, _, *mounts = first.split(" ")
        found[int(inum)] = (int(many), tuple(mounts), rest)
    assert found.keys() == {namespace.inum for namespace in snapshot.namespaces}
    for namespace in snapshot.namespaces:
        count, there, rest = found[namespace.inum]
        assert (count, there) == (namespace.device_count, namespace.mounts)
        if rest:
            assert rest[0] == f"{namespace.task_count} processes"
            assert rest[1:] == [f"pid {t.pid} {t.comm}" for t in namespace.tasks]
        else:
            assert not namespace.task_count


@pytest.mark.slow
def test_code_of_xdp(prog: Program) -> None:
    _, attempts = shown(prog, "xdp")
    found = devices_in(ran("xdp"))
    assert set(found) == {key(one.device) for one in attempts}
    for one in attempts:
        _, lines = found[key(one.device)]
        answer = one.answer
        said = f"attach {one.mode} {one.via} {answer.errno} {answer.message}"
        assert said in lines
    for device in {one.device.net_device: one.device for one in attempts}.values():
        _, lines = found[key(device)]
        programs = [getattr(device.xdp, mode) for mode in XDP_MODES]
        assert [line.split()[2:] for line in lines if line.startswith("XDP")] == [
            [p.name, str(p.id), p.tag]
            + (["netlink"] if p.link_id is None else ["link", str(p.link_id)])
            for p in programs
            if p
        ]


@pytest.mark.slow
def test_code_of_drops(snapshot: Any) -> None:
    printed = ran("drops")
    found = {}
    for line in printed.splitlines():
        if not line.startswith("SoftnetStat("):
            inum, name, lost = line.split(" ", 2)
            found[int(inum), name] = ast.literal_eval(lost)
    assert printed.count("SoftnetStat(") == len(snapshot.cpus)
    devices = {key(device): device for device in snapshot.devices}
    assert len(found) > 5
    for place, lost in found.items():
        device = devices[place]
        for counter, value in lost.items():
            queue, _, of_queue = counter.rpartition(" ")
            if queue:
                record = device.queue_stats[int(queue[2:])]
                assert getattr(record, of_queue) == value
            else:
                assert getattr(device.stats, counter) == value


@pytest.mark.slow
def test_code_of_rps(prog: Program) -> None:
    _, devices = shown(prog, "rps rpsa xpsa mqa eth0")
    found = devices_in(ran("rps rpsa xpsa mqa eth0"))
    assert set(found) == {key(device) for device in devices}
    for device in devices:
        _, lines = found[key(device)]
        assert lines == [
            *(f"rx{q.queue} {q.cpus} {q.flow_entries}" for q in device.rps),
            *(f"tx{q.queue} {q.cpus} {q.rx_queues}" for q in device.xps),
        ]


def test_code_with_hostile_names(prog: Program) -> None:
    for given in ("a\\'\\\"b", "'$(id)'", "'\\x1b[31m'", "'*;import os'"):
        for name in ("veth", "xdp", "rps"):
            code, _ = shown(prog, f"{name} {given} --address ::1/128 --drgn")
            ast.parse(code)
            assert "import os" not in code.replace("*;import os", "")


def test_code_filters_as_the_command_does(prog: Program) -> None:
    """A prefix length, and what `ip link` prints behind a name."""
    code, _ = shown(prog, "veth 'eth0@if5' --address fd00:0::1/64 --drgn")
    assert "('eth0@if5', 'eth0')" in code and "('fd00::1',)" in code
    for words, said in (
        ("veth --address 1.2.3 --drgn", "not an IP address"),
        ("netns --kind veth --drgn", "no filters for devices"),
    ):
        with pytest.raises(CommandArgumentError, match=said):
            shown(prog, words)


def test_helpers_are_exported() -> None:
    assert set(drgn_veth.__all__) >= HELPERS


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_line_is_wider(columns: int, snapshot: Any) -> None:
    style = PLAIN._replace(width=columns)
    # All devices, those with wide letters and long names among them.
    for text in (
        programs(snapshot.devices, snapshot, style),
        queues(snapshot.devices, snapshot, style, sent_queues(snapshot)),
    ):
        assert max(map(width, text.splitlines())) <= columns
        assert all(line.isprintable() for line in text.splitlines())


@pytest.mark.slow
def test_a_dump_is_read_once(snapshot: Any) -> None:
    prog = Program()
    prog.set_core_dump(recorded_core(NAME).core)
    first, second = (shown(prog, "veth --all")[1] for _ in range(2))
    assert first == list(snapshot.devices)
    assert all(one is other for one, other in zip(first, second))
    # With more symbols, more may be readable.
    prog.register_type_finder("more", lambda *_: None, enable_index=-1)
    third = shown(prog, "veth --all")[1]
    assert third == first and third[0] is not first[0]


@pytest.mark.slow
def test_a_script_reads_again(prog: Program) -> None:
    other = Program()
    other.set_core_dump(recorded_core(NAME).core)
    args = veth_report.parser().parse_args(["--all"])
    first, second = (veth_report.show(other, args).records for _ in range(2))
    assert first[0] == second[0] and first[0] is not second[0]


### A real prompt


class Prompt:
    """A drgn at a terminal."""

    def __init__(self, core: Path) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            env = {**os.environ, "TERM": "dumb", "PYTHON_BASIC_REPL": "1"}
            env.update(
                DRGN_PLUGINS="drgn_veth=drgn_veth_plugin",
                PYTHONPATH=str(REPOSITORY / "helpers"),
            )
            argv = [sys.executable, "-m", "drgn", "-q", "-c", str(core)]
            os.execve(sys.executable, [*argv, "--no-default-symbols"], env)
        self.read()

    def read(self) -> str:
        """Read up to the prompt."""
        got = b""
        end = time.monotonic() + 60
        while not got.endswith(b"\n>>> "):
            assert time.monotonic() < end, got
            if select.select([self.fd], [], [], 1)[0]:
                got += os.read(self.fd, 1 << 16)
        text = got.decode().replace("\r\n", "\n")[: -len(">>> ")]
        # Without the progress of what takes more than a second.
        return re.sub(r"\r(?:[^\r\n]*\r)*", "", text)

    def __call__(self, line: str) -> str:
        os.write(self.fd, line.encode() + b"\n")
        return self.read().partition("\n")[2]


@pytest.fixture(scope="module")
def prompt() -> Iterator[Prompt]:
    there = Prompt(recorded_core(NAME).core)
    yield there
    os.write(there.fd, b"exit()\n")
    os.waitpid(there.pid, 0)
    os.close(there.fd)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_at_a_prompt(name: str, prompt: Prompt, prog: Program, tmp_path: Path) -> None:
    given = f"{name} {'pod1' if name == 'netns' else 'rpsa'}"
    said, records = shown(prog, given)
    assert prompt(f"%{given} --color never") == said
    kind = type(records[0]).__name__
    assert prompt("len(_), type(_[0]).__name__") == f"({len(records)}, '{kind}')\n"
    first = said.split("\n")[0]
    assert prompt(f"%{given} | head -n 1") == f"{first}\n"
    assert prompt(f"%{given} > {tmp_path}/out") == ""
    assert (tmp_path / "out").read_text() == said
    assert prompt(f"%{name} -h | grep -c usage:") == "1\n"
    assert prompt(f"%{name} --bogus").startswith(f"drgn: %{name}: unrecognized")
    prompt(f"%{given} --drgn > {tmp_path}/code.py")
    assert prompt(f"exec(open('{tmp_path}/code.py').read())") == ran(given)


@pytest.mark.slow
def test_unreadable_at_a_prompt(prompt: Prompt) -> None:
    said = prompt("%netns nowhere")
    assert said.startswith("drgn: %netns: no network namespace")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_in_crash_mode(prompt: Prompt, prog: Program) -> None:
    assert prompt("%crash rps rpsa | cat") == shown(prog, "rps rpsa")[0]
    assert drgn_veth_plugin.COMMANDS["xdp"] in prompt("%crash help xdp | cat")


### Other versions of drgn

RUN = """
import sys
from drgn.commands import run_command
for command in sys.argv[1:]:
    print(len(run_command(prog, command) or ()), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.0.33", "0.1.0", "0.2.0"])
def test_other_versions(
    version: str, drgn_python: Callable[[str], str], tmp_path: Path, prog: Program
) -> None:
    (tmp_path / "run.py").write_text(RUN)
    commands = ["veth rpsa", "netns -h", "xdp --drgn", "rps rpsa | cat"]
    core = recorded_core(NAME).core
    argv = [drgn_python(version), "-m", "drgn", "-q", "-c", str(core)]
    done = subprocess.run(
        [*argv, "--no-default-symbols", str(tmp_path / "run.py"), *commands],
        env={
            **os.environ,
            "DRGN_PLUGINS": "drgn_veth=drgn_veth_plugin",
            "PYTHONPATH": str(REPOSITORY / "helpers"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    expected = []
    for command in commands:
        said, records = shown(prog, command.replace(" | cat", ""))
        expected.append(f"{said}{len(records or ())}\n")
    assert done.stdout == "".join(expected)
