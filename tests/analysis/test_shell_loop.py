# SPDX-License-Identifier: LGPL-2.1-or-later
"""One command for many devices, run by a shell that has stubs of ip and ethtool."""

from collections.abc import Sequence
from pathlib import Path
import shutil
import subprocess

from drgn_veth.analysis.shell import shell_quote
from drgn_veth.analysis.shell_loop import combined
import pytest

_STUB = """#!/bin/sh
for arg in "$0" "$@"; do printf '%s\\0' "${arg##*/bin/}"; done >>"$RECORD"
printf '\\n' >>"$RECORD"
"""
_TOOLS = ("ip", "ethtool", "nsenter", "sh")


def _ran(command: str, folder: Path) -> list[bytes]:
    """Run a command line; return what its commands were given."""
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    shell = shutil.which("sh")
    assert shell is not None
    for tool in _TOOLS:
        (bin / tool).write_text(_STUB.replace("#!/bin/sh", f"#!{shell}"))
        (bin / tool).chmod(0o755)
    record = folder / "record"
    record.write_bytes(b"")
    environment = {"PATH": str(bin), "RECORD": str(record)}
    subprocess.run([shell, "-n", "-c", command], check=True)
    subprocess.run([shell, "-c", command], check=True, env=environment)
    return sorted(record.read_bytes().splitlines())


def _up(name: str, *way: str) -> str:
    words = [*way, "ip", "link", "set", "dev", name, "up"]
    return " ".join(map(shell_quote, words))


_NETNS = ("ip", "netns", "exec")
_ODD = (
    *("a b", "-n", "x'y", "$(id)", "\x1b[31m", "h\xf6", "*", "a,b", "a;b", "%s\\"),
    *('q"\xf6', '"\xf6 "'),
)


@pytest.mark.parametrize(
    "commands",
    [
        [_up("a"), _up("b")],
        [_up("eth0", *_NETNS, "p1"), _up("eth0", *_NETNS, "p2")],
        [_up("a", *_NETNS, "p"), _up("b", *_NETNS, "p")],
        [_up("a", *_NETNS, "p1"), _up("b", *_NETNS, "p2"), _up("c"), _up("d")],
        [
            _up("a", "nsenter", "--net=/proc/1/ns/net"),
            _up("b", "nsenter", "--net=/proc/2/ns/net"),
            _up("b", "nsenter", "--net=/run/my net"),
            _up("b", *_NETNS, "p2"),
        ],
        [_up(name) for name in _ODD],
        [_up("eth0", *_NETNS, name) for name in _ODD],
        [_up(f"{name}1", *_NETNS, name) for name in _ODD],
        ["ethtool -L a tx 1", "ethtool -L b tx 1"],
        [
            f"ip netns exec p{i} sh -c 'for f in \"$0\"/rx; do :; done' "
            f"/sys/class/net/v{i}/queues"
            for i in range(4)
        ],
    ],
    ids=range(10),
)
def test_it_runs_all_of_them(commands: Sequence[str], tmp_path: Path) -> None:
    one = combined(commands)
    assert one is not None
    assert len(one) < len("; ".join(commands)) or len(commands) < 5
    each = [line for command in commands for line in _ran(command, tmp_path)]
    assert len(each) == len(commands)
    assert _ran(one, tmp_path) == sorted(each)


def test_words() -> None:
    assert combined([_up("a"), _up("b")]) == (
        'for dev in a b; do ip link set dev "$dev" up; done'
    )
    assert combined([_up("eth0", *_NETNS, "p1"), _up("eth0", *_NETNS, "p2")]) == (
        'for ns in p1 p2; do ip netns exec "$ns" ip link set dev eth0 up; done'
    )
    assert combined([_up("a", *_NETNS, "p1"), _up("b", *_NETNS, "p2")]) == (
        'for d in p1/a p2/b; do ip netns exec "${d%/*}" ip link set dev "${d#*/}" up; '
        "done"
    )


@pytest.mark.parametrize(
    "commands",
    [
        [_up("a")],
        [_up("a"), _up("a")],
        [],
        ["ethtool -L a tx 1", "ethtool -L a tx 2"],
        ["ethtool -L a tx 1", "ethtool -L b tx 2"],
        ["ethtool -L a tx 1", "ethtool -L b rx 1 tx 1"],
        [_up("a"), "ethtool -L a tx 1"],
        ["ip link set dev a mtu 1", "ip netns exec p ip link set dev b mtu 2"],
        ["bpftool link detach id 1", "bpftool link detach id 2"],
        [f"sh -c 'echo {i}' /sys/class/net/v{i}/queues" for i in range(2)],
    ],
)
def test_what_differs_in_more_than_names(commands: Sequence[str]) -> None:
    assert combined(commands) is None
