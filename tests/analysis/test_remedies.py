# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands, run by a shell."""

from pathlib import Path
import subprocess

from drgn_veth.analysis.remedies import Fixes
from drgn_veth.model import Namespace, NetTask
import pytest

from tests.support.rules import CASES
from tests.support.rules.case import found
from tests.support.snapshots import POD, pair


def test_rps_where_sysfs_is_that_of_another_namespace() -> None:
    """nsenter changes the network namespace, and not what /sys was mounted for."""
    whole = pair()
    pod = Namespace(POD, False, 1, tasks=(NetTask(41, "nginx", None),))
    fixes = Fixes(whole._replace(namespaces=(pod,)))
    way = (
        "nsenter --net=/proc/41/ns/net unshare --mount sh -c 'mount -t sysfs sysfs "
        "/sys &&"
    )
    path = "/sys/class/net/eth0/queues"
    ref = whole.devices[-1].ref
    for cpus, mask in (((1,), 2), ((), 0)):
        for_all = f'for f in "$0"/rx-*/rps_cpus; do echo {mask} >"$f"; done'
        assert fixes.rps_all(ref, cpus) == (f"{way} {for_all}' {path}",)


@pytest.mark.parametrize("name", ["a b", "it's", '"', "$(id)", "b\\s", "*", "-n"])
def test_rps_of_a_device_with_an_odd_name(name: str, tmp_path: Path) -> None:
    """The command, run by a shell, writes to the files that it should."""
    (tmp_path / name / "queues" / "rx-0").mkdir(parents=True)
    (tmp_path / name / "queues" / "rx-0" / "rps_cpus").write_text("")
    whole = pair({"name": name})
    (command,) = Fixes(whole).rps_all(whole.devices[0].ref, (0, 33))
    command = command.replace("/sys/class/net", str(tmp_path))
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    written = (tmp_path / name / "queues" / "rx-0" / "rps_cpus").read_text()
    assert written == "2,00000001\n"


@pytest.mark.parametrize("fails", ["nothing", "pin", "detach", "-L", "attach"])
def test_program_is_not_lost_on_the_way(fails: str, tmp_path: Path) -> None:
    """A shell stops where it has to: nothing is detached that is not pinned."""
    log = tmp_path / "log"
    for tool in ("bpftool", "ethtool", "rm"):
        script = tmp_path / tool
        script.write_text(
            f'#!/bin/sh\necho {tool} "$@" >>{log}\n'
            f'case " $* " in *" {fails} "*) exit 1;; esac\n'
        )
        script.chmod(0o755)
    case = CASES["veth-poll-out-of-range"]
    (command,) = found("veth-poll-out-of-range", case.fires)[0].fix
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", command], env=path, check=False)
    said = [line.split()[:3] for line in log.read_text().splitlines()]
    steps = [
        ["bpftool", "prog", "pin"],
        ["bpftool", "net", "detach"],
        ["ethtool", "-L", "veth0"],
        ["bpftool", "net", "attach"],
        ["rm", "/sys/fs/bpf/drgn-veth-7"],
    ]
    most = {"nothing": 5, "pin": 1, "detach": 2, "-L": 5, "attach": 4}[fails]
    assert said == steps[:most]
    assert (done.returncode == 0) == (fails in ("nothing", "-L"))
