# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The recorded cores in vmcores/, with the truth beside them
----------------------------------------------------------

All tests share them: a core is unpacked once, in the folder of ``make demo``, and
opened once in a process. Nothing writes to it: what changes one takes
:meth:`Recorded.copy`.
"""

import contextlib
import functools
import io
import json
import lzma
from pathlib import Path
import shutil
from typing import Any

from drgn import Program
from drgn_veth.btf import use_btf
from drgn_veth.model import Snapshot
from drgn_veth.snapshot import take_snapshot
import golden
from unpack import unpack

__all__ = (
    "CORES",
    "EVERY_CORE",
    "SLOW_CORES",
    "VMCORES",
    "Recorded",
    "first_core",
    "recorded_core",
    "said_of",
    "smallest_core",
)

VMCORES = Path(__file__).resolve().parent.parent.parent / "vmcores"
UNPACKED = VMCORES.parent / "build"

#: Names of the recorded cores.
EVERY_CORE: list[str] = sorted(
    path.name[: -len(".core.xz")] for path in VMCORES.glob("*.core.xz")
)
#: Those whose kernel was also asked about attaches.
CORES = [name for name in EVERY_CORE if (VMCORES / f"{name}.answers.json.xz").exists()]


#: Those that most of ``make test`` leaves to ``make test-slow``.
SLOW_CORES = ("6.1-attach", "6.1-zoo", "6.12-arm64-zoo", "6.12-zoo", "7.3-attach")


class Recorded:
    """A recorded core."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.packed = VMCORES / f"{name}.core.xz"
        self.core = unpack(self.packed, UNPACKED)

    def _unpacked(self, kind: str) -> Any:
        packed = (VMCORES / f"{self.name}.{kind}.json.xz").read_bytes()
        return json.loads(lzma.decompress(packed))

    @functools.cached_property
    def truth(self) -> dict[str, Any]:
        """What the kernel's own tools said."""
        found: dict[str, Any] = self._unpacked("truth")
        return found

    @functools.cached_property
    def answers(self) -> dict[str, Any]:
        """What the kernel answered to attaches."""
        found: dict[str, Any] = self._unpacked("answers")
        return found

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """How it was made."""
        found: dict[str, Any] = json.loads((VMCORES / f"{self.name}.json").read_text())
        return found

    @functools.cached_property
    def prog(self) -> Program:
        """The core, opened, with types from its BTF."""
        prog = Program()
        prog.set_core_dump(self.core)
        use_btf(prog)
        return prog

    @functools.cached_property
    def snapshot(self) -> Snapshot:
        """A Snapshot of it."""
        return take_snapshot(self.prog)

    def copy(self, folder: Path) -> Path:
        """Return a copy of the core in a folder, to be changed."""
        return Path(shutil.copy(self.core, folder / self.core.name))


@functools.cache
def recorded_core(name: str) -> Recorded:
    """Return the recorded core of a name: the same one in each test of a process."""
    return Recorded(name)


def first_core(series: str) -> Recorded:
    """Return the first core of a series of kernels, such as ``6.12-arm64``."""
    return recorded_core(
        next(name for name in CORES if name.rpartition("-")[0] == series)
    )


def smallest_core() -> Recorded:
    """Return the core that takes the least time, for what any of them shows."""
    name = min(CORES, key=lambda name: (VMCORES / f"{name}.core.xz").stat().st_size)
    return recorded_core(name)


def said_of(recorded: Recorded) -> dict[str, str]:
    """Return what each command prints of a core, by golden file: nothing on stderr."""
    with contextlib.redirect_stderr(io.StringIO()) as error:
        found = dict(golden.outputs(recorded.name, recorded.prog, recorded.snapshot))
    assert error.getvalue() == ""
    return found
