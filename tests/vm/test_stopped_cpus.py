# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A panic without a crash kernel
------------------------------

The CPU that panics stops all others, and x86 then sets them offline, as arm64 does on
its way into a crash kernel. QEMU's dump of such a guest has all memory at the virtual
address 0.
"""

import json
from pathlib import Path

from drgn import FaultError, Program
from drgn.helpers.linux.cpumask import cpu_online_mask
from drgn_veth.btf import use_btf
from drgn_veth.readers.cpumask import online_cpus
from drgn_veth.snapshot import take_snapshot
import lab
import pytest

from tests.support.booted import KERNELS, NO_SYMBOLS, SCRIPT, drgn

pytestmark = pytest.mark.vm

OFFLINE = 2


@pytest.fixture(scope="module", params=KERNELS[-1:])
def stopped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A dump of a guest that has panicked, with one of four CPUs offline before."""
    dump = tmp_path_factory.mktemp("stopped") / "vmcore"
    kernel = lab.get_kernel(request.param)

    def boot() -> None:
        with lab.Guest(kernel, memory_mb=512, smp=4) as guest:
            guest.run(f"echo 0 > /sys/devices/system/cpu/cpu{OFFLINE}/online")
            guest.panic()
            guest.qmp_dump_elf(dump)

    lab.try_boots(kernel.release, boot)
    return dump


def test_online_cpus(stopped: Path) -> None:
    prog = Program()
    prog.set_core_dump(str(stopped))
    use_btf(prog)
    (left,) = (i for i in range(4) if cpu_online_mask(prog).bits[0].value_() == 1 << i)
    expected = [cpu for cpu in range(4) if cpu != OFFLINE]
    assert left in expected
    assert list(online_cpus(prog)) == expected
    done = drgn("-c", stopped, *NO_SYMBOLS, SCRIPT, "--all", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["target"]["online_cpus"] == expected


def test_nothing_is_read_through_null(stopped: Path) -> None:
    prog = Program()
    prog.set_core_dump(str(stopped))
    use_btf(prog)
    assert len(prog.read(0, 16)) == 16
    take_snapshot(prog)
    for stray in (0, 0x1000, 0x7FFF12345678):
        with pytest.raises(FaultError, match="not a kernel address"):
            prog.read(stray, 16)
    assert prog["init_net"].ns.inum
