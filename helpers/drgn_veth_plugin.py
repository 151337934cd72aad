# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The plugin
----------

Once drgn-veth is installed, drgn imports this module at every start (entry point
``drgn.plugins``). So it is outside of the package, and imports it only when it is
needed: when a command runs, or when debug symbols lack something.
"""

import importlib.util
import os.path
import sys
from typing import Any, Optional

from drgn import Program, ProgramFlags

__all__ = ("COMMANDS", "drgn_prog_set")

#: The commands, and what each does.
COMMANDS = {
    "veth": "veth and netkit pairs, and what is wrong with them",
    "netns": "network namespaces, and who is in them",
    "xdp": "XDP programs and links, and what the kernel would answer to an attach",
    "rps": "RPS, RFS and XPS of each queue",
    "drops": "where packets were lost, and what is known of it",
    "path": "where the packets of a device go, step by step",
}

_FINDER = "drgn_veth_btf_on_demand"


def _is_kernel(prog: Program) -> bool:
    return bool(prog.flags & ProgramFlags.IS_LINUX_KERNEL)


def _imported(name: str) -> Any:
    # DRGN_PLUGINS=drgn_veth=helpers/drgn_veth_plugin.py: the package is beside it.
    if importlib.util.find_spec("drgn_veth") is None:
        sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    return importlib.import_module(name)


class _Command:
    # A command (drgn.commands.Command) whose options and body are imported when it is
    # used. Which methods there are depends on the version of drgn.
    def __init__(self, name: str, description: str) -> None:
        self._name = name
        self._description = description
        self._real: Any = None

    def description(self) -> str:
        return self._description

    def enabled(self, prog: Program) -> bool:
        return _is_kernel(prog)

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        if self._real is None:
            self._real = _imported("drgn_veth.faces.prompt").command(self._name)
        return getattr(self._real, method)


def _register(namespace: Any) -> None:
    for name, description in COMMANDS.items():
        namespace.register(name, _Command(name, description))


def _add_commands() -> None:
    # drgn has commands since v0.0.31, and this form of them since v0.0.33.
    try:
        from drgn.commands import DEFAULT_COMMAND_NAMESPACE

        _register(DEFAULT_COMMAND_NAMESPACE)
    except (ImportError, AttributeError):
        pass


def _add_crash_commands() -> None:
    # For drgn's crash mode, which has no public interface. In v0.1, its module moved.
    for name in ("drgn.commands._crash.common", "drgn.commands.crash"):
        namespace = getattr(sys.modules.get(name), "CRASH_COMMAND_NAMESPACE", None)
        if namespace is not None:
            try:
                _register(namespace)
            except Exception:
                pass  # It may change at any time.


class _Finders:
    # The finders of drgn_veth.btf, which are imported when drgn misses something.
    def __init__(self, prog: Program) -> None:
        self._prog = prog
        self._real: Any = None

    def _finders(self) -> Any:
        if self._real is None:
            package = _imported("drgn_veth.btf.plugin_finders")
            self._real = package.OnDemand(self._prog)
        return self._real

    def find_type(self, *args: Any) -> Any:
        return self._finders().find_type(*args)

    def find_object(self, *args: Any) -> Any:
        return self._finders().find_object(*args)

    def find_symbol(
        self, prog: Program, name: Optional[str], address: Optional[int], one: bool
    ) -> Any:
        return self._finders().find_symbol(prog, name, address, one)


def _offer_btf(prog: Program) -> None:
    if _FINDER in prog.registered_type_finders():
        return
    finders = _Finders(prog)
    prog.register_type_finder(_FINDER, finders.find_type, enable_index=-1)
    prog.register_object_finder(_FINDER, finders.find_object, enable_index=-1)
    prog.register_symbol_finder(_FINDER, finders.find_symbol, enable_index=-1)


def drgn_prog_set(prog: Program) -> None:
    """Offer types from BTF, and commands for the crash mode (a hook of drgn)."""
    if _is_kernel(prog):
        _offer_btf(prog)
        _add_crash_commands()


_add_commands()
