# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where BTF comes from
--------------------

The kernel's BTF is between two symbols, those of its modules are on a list
(kernel/bpf/btf.c). The running kernel shows the same bytes in sysfs.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import functools
import os
from typing import Callable, Optional

from drgn import Object, Program, ProgramFlags

from ..core.byte_order import byteorder
from ..core.errors import READ_ERRORS, attempt, reason
from ..core.text import decode
from ..core.unreadable import Unreadable
from ..readers.bounded import for_each_entry_bounded
from .keep import kept
from .parse import MAX_BTF_SIZE, Btf, BtfError
from .symbols import MAX_MODULES
from .types import BtfTypes

__all__ = ("ModuleBtf", "ModuleTypes", "read_vmlinux_btf")

_SYSFS = "/sys/kernel/btf"


def _sysfs(prog: Program) -> Optional[str]:
    here = ProgramFlags.IS_LIVE | ProgramFlags.IS_LOCAL
    if prog.flags & here == here and os.path.isdir(_SYSFS):
        return _SYSFS
    return None


def _read_file(path: str) -> bytes:
    with open(path, "rb") as f:
        return f.read(MAX_BTF_SIZE + 1)


def read_vmlinux_btf(
    prog: Program, address_of: Callable[[str], Optional[int]]
) -> bytes:
    """
    Return the kernel's BTF.

    :param address_of: Returns the address of a symbol of the kernel, if it has it
    :raises BtfError: if there is none
    """
    sysfs = _sysfs(prog)
    if sysfs:
        with contextlib.suppress(OSError):
            return _read_file(os.path.join(sysfs, "vmlinux"))
    start, stop = address_of("__start_BTF"), address_of("__stop_BTF")
    if start is None or stop is None:
        raise BtfError("the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)")
    if not 0 < stop - start <= MAX_BTF_SIZE:
        raise BtfError(f"the kernel's BTF has {stop - start} bytes")
    try:
        return prog.read(start, stop - start)
    except READ_ERRORS as e:
        raise BtfError(f"the kernel's BTF cannot be read ({reason(e)})") from None


class ModuleTypes:
    """The BTF of one module, read and indexed when it is first needed."""

    def __init__(self, name: str, read: Callable[[], bytes]) -> None:
        self.name = name
        self._read = read
        self._data: Optional[bytes] = None
        self._types: Optional[BtfTypes] = None

    def data(self) -> bytes:
        """Return the blob."""
        if self._data is None:
            self._data = self._read()
        return self._data

    def types(self, base: BtfTypes) -> BtfTypes:
        """Return the types."""
        if self._types is None:
            data, order = self.data(), byteorder(base.prog)
            # A base that was made again is another one.
            btf = kept(
                lambda: Btf(data, order, base.btf), "btf", data, order, id(base.btf)
            )
            self._types = BtfTypes(base.prog, btf, base)
        return self._types


class ModuleBtf:
    """
    The BTF of the modules of a program.

    :param vmlinux: Returns the types of the kernel, which theirs are based on
    :param given: By module, BTF that the target lacks
    """

    def __init__(
        self,
        prog: Program,
        vmlinux: Callable[[], BtfTypes],
        given: Mapping[str, bytes],
    ) -> None:
        self._prog = prog
        self._vmlinux = vmlinux
        self._given = given
        self._modules: Optional[Sequence[ModuleTypes]] = None
        #: Why there is no BTF, by module, or by "" for all of them.
        self.problems: dict[str, str] = {}

    def __call__(self, name: str) -> Iterator[BtfTypes]:
        """Iterate over the types of each module whose BTF contains a name."""
        wanted = name.encode() + b"\0"
        for module in self.all():
            try:
                if wanted in module.data():
                    yield module.types(self._vmlinux())
            except READ_ERRORS as e:
                self.problems[module.name] = reason(e)

    def all(self) -> Sequence[ModuleTypes]:
        """Return all modules that have BTF."""
        if self._modules is None:
            self._modules = ()  # while it looks up what it needs
            self._modules = tuple(self._find())
        return self._modules

    def _find(self) -> Iterator[ModuleTypes]:
        for name, data in self._given.items():
            yield ModuleTypes(name, functools.partial(bytes, data))
        sysfs = _sysfs(self._prog)
        try:
            yield from _in_sysfs(sysfs) if sysfs else _in_memory(self._prog)
        except KeyError:
            self.problems[""] = (
                "the kernel has none for modules (CONFIG_DEBUG_INFO_BTF_MODULES, "
                "in v5.11 and later)"
            )
        except READ_ERRORS as e:
            self.problems[""] = reason(e)


def _in_sysfs(sysfs: str) -> Iterator[ModuleTypes]:
    for name in sorted(os.listdir(sysfs)):
        if name != "vmlinux":
            path = os.path.join(sysfs, name)
            yield ModuleTypes(name, functools.partial(_read_file, path))


def _in_memory(prog: Program) -> Iterator[ModuleTypes]:
    # Since Linux kernel commit 36e68442d1af ("bpf: Load and verify kernel
    # module BTFs") (in v5.11). Before that, modules have none.
    head = prog["btf_modules"].address_of_()
    for entry in for_each_entry_bounded(head, "struct btf_module", "list", MAX_MODULES):
        name = attempt(_module_name, entry)
        yield ModuleTypes(
            "?" if isinstance(name, Unreadable) else name,
            functools.partial(_read_module, entry),
        )


def _module_name(entry: Object) -> str:
    return decode(entry.module.name.string_())


def _read_module(entry: Object) -> bytes:
    size = entry.btf.data_size.value_()
    if size > MAX_BTF_SIZE:
        raise BtfError(f"BTF of {size} bytes")
    return entry.prog_.read(entry.btf.data.value_(), size)
