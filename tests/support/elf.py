# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small ELF core, and what reads its notes."""

from collections.abc import Sequence
import io
from pathlib import Path
import tracemalloc

from drgn_veth.btf.carried import Carried
from drgn_veth.dump.elfcore import EM, Note, read_notes, write_core

from tests.support.bounds import takes_less_than

__all__ = ("CARRIED", "NOTES", "SEGMENTS", "VMCOREINFO", "core_of", "notes_of")

SECONDS = 2.0
MEMORY = 64 << 20

# As little as drgn takes for a kernel's.
VMCOREINFO = Note(
    b"VMCOREINFO",
    0,
    b"OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=ffffffff82a10000\n"
    b"KERNELOFFSET=0\nNUMBER(phys_base)=0\n",
)
CARRIED = Carried(
    {"init_net": 0xFFFFFFFF82000000, "_stext": 0xFFFFFFFF81000000},
    {"veth": b"\x9f\xeb\0\1", "odd\xff": b""},
)
NOTES = [VMCOREINFO, Note(b"", 7, b""), Note(b"abc", 1 << 31, b"12345")]
NOTES += CARRIED.notes()
SEGMENTS = [(0x1003, b"one"), (0x2000, b"two" * 5000), (1 << 45, b"\0")]

_Segments = Sequence[tuple[int, bytes]]


def core_of(
    notes: Sequence[Note] = NOTES,
    segments: _Segments = SEGMENTS,
    little: bool = True,
) -> bytes:
    out = io.BytesIO()
    machine = EM["X86_64" if little else "S390X"]
    write_core(out, machine, little, notes, segments)
    return out.getvalue()


def notes_of(path: Path, data: bytes) -> list[Note]:
    """Read notes within bounds of time and memory."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with takes_less_than(SECONDS):
            return list(read_notes(path))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY
