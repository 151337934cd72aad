# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Per-CPU memory
--------------

Counters that each CPU has for itself, and what they are together
(include/linux/percpu-defs.h).

Upstream: nothing; drgn's ``per_cpu_ptr()`` is enough for one pointer. This reads many.
"""

from collections.abc import Iterable, Iterator
import struct

import drgn
from drgn import Program

from ..core.byte_order import byteorder, struct_order
from ..core.errors import is_read_error
from ..core.exact_reads import are_reads_exact
from ..core.struct_layout import Layout, Members
from ..core.unreadable import Unreadable
from .cpumask import nr_cpu_ids, possible_cpus

__all__ = ("PerCpuSums", "per_cpu_offsets")

_ADDRESS = (1 << 64) - 1
_NEAR = 512  # Bytes between two structs that are not read together.
_SPAN = 1 << 16


def per_cpu_offsets(prog: Program) -> dict[int, int]:
    """
    Return what has to be added to a per-CPU pointer, for each possible CPU
    (``per_cpu_offset()``).

    :return: ``__per_cpu_offset`` by CPU; of a kernel without SMP, 0 for CPU 0
    :raises FaultError: if it cannot be read
    """
    try:
        first = prog["__per_cpu_offset"].address_
    except KeyError:  # Without CONFIG_SMP, and on some architectures.
        return {0: 0}
    assert first is not None
    size = prog.type("unsigned long").size
    assert size is not None
    count = nr_cpu_ids(prog)
    data = prog.read(first, size * count)
    code = f"{struct_order(byteorder(prog))}{count}{'Q' if size == 8 else 'I'}"
    offsets = struct.unpack(code, data)
    return {cpu: offsets[cpu] for cpu in possible_cpus(prog)}


class PerCpuSums:
    """
    Sums over all possible CPUs of the members of a struct. Where the members are is
    decided once.

    :param type: What per-CPU pointers point to
    :param declared: Its members; all are counters
    :raises LookupError: if this kernel lacks one that is not optional
    """

    def __init__(self, prog: Program, type: drgn.Type, declared: type[Members]) -> None:
        self._prog = prog
        self._layout = Layout(prog, type, declared)
        self._layout.check()
        self._offsets = tuple(per_cpu_offsets(prog).values())
        #: The members that this kernel has, in the order of the struct.
        self._names = sorted(self._layout.offset, key=self._layout.offset.__getitem__)
        self._known: dict[int, tuple[int, ...]] = {}

    def _sum(self, records: Iterable[tuple[object, ...]]) -> tuple[int, ...]:
        count = len(self._names)
        columns = zip(*[record[:count] for record in records])
        sums = []
        for column in columns:
            for value in column:
                if isinstance(value, Unreadable):
                    raise ValueError(value.reason)
            sums.append(sum(column))
        return tuple(sums)

    def _groups(self, pointers: Iterable[int]) -> Iterator[list[int]]:
        # Pointers whose structs are read together.
        near = 0 if are_reads_exact(self._prog) else _NEAR
        size = self._layout.size
        group: list[int] = []
        for pointer in sorted(set(pointers)):
            if group and (
                pointer - group[-1] - size > near or pointer - group[0] > _SPAN
            ):
                yield group
                group = []
            group.append(pointer)
        if group:
            yield group

    def prepare(self, pointers: Iterable[int]) -> None:
        """
        Read what is at many pointers at once: the structs of many devices are next to
        each other. What cannot be read so is left to :meth:`sum()`.
        """
        layout, read = self._layout, self._prog.read
        if layout.by_member:
            return
        for group in self._groups(pointers):
            start = group[0]
            size = group[-1] + layout.size - start
            try:
                parts = [read(start + at & _ADDRESS, size) for at in self._offsets]
            except Exception as e:
                if not is_read_error(e):
                    raise
                continue
            for pointer in group:
                at = pointer - start
                records: list[tuple[object, ...]] = [
                    layout.decode(part, at)  # type: ignore[misc]
                    for part in parts
                ]
                self._known[pointer] = self._sum(records)

    def sum(self, pointer: int) -> dict[str, int]:
        """
        Return the sum of each member.

        :param pointer: Per-CPU pointer
        :return: By name; a member that this kernel does not have is missing
        :raises ValueError: if the pointer is NULL, or what it points to cannot be read
        """
        known = self._known.get(pointer)
        if known is None:
            if not pointer:
                raise ValueError("a per-CPU pointer is NULL")
            read = self._layout.read_span
            known = self._sum(
                [read(pointer + at & _ADDRESS) for at in self._offsets]  # type: ignore[misc]
            )
        return dict(zip(self._names, known))
