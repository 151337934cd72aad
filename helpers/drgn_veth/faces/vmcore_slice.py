# SPDX-License-Identifier: LGPL-2.1-or-later
"""
vmcore_slice.py
---------------

Writes a slice (:mod:`drgn_veth.faces.slice`) to a file.
"""

import argparse
from collections.abc import Sequence
import contextlib
import lzma
import os
import shutil
import tempfile
from typing import IO, Callable, Optional

from drgn import Program

from ..core.english import count
from ..core.errors import reason
from ..core.names import LEFT_OUT
from ..dump.slice_note import is_slice
from ..model import unreadable_in
from ..render.escape import for_terminal
from ..snapshot import UnreadTargetError
from . import opening
from .damage import unread, warn_of_part
from .disclosed import KINDS, disclosed
from .files import is_dump, is_symbols, take_files
from .options import add_target_options, new_parser
from .output import check_output, is_replaced, replacing, write_output
from .packed import unpacked
from .progress import working
from .slice import Slice, SliceError, check_slice, slice_target
from .status import EXIT_OK, TargetError, UsageError, warn

__all__ = ("main", "parser")

_CHUNK = 1 << 16

_DESCRIPTION = """\
Write a slice: a small core with only the memory that a full veth report reads, to send
to a colleague instead of the dump. drgn opens it with plain -c, and the report needs no
debug symbols.
"""

_EPILOG = """\
examples:
  drgn -c vmcore scripts/vmcore_slice.py veth.core.xz
  drgn -c vmcore -s vmlinux -s veth.ko.debug scripts/vmcore_slice.py veth.core
                                   if the dump lacks symbols or types
  python3 scripts/vmcore_slice.py --list veth.core.xz
                                   look at what it discloses
  xz -d veth.core.xz && drgn -c veth.core scripts/veth_report.py

what is in it, byte for byte and nothing else:
  the structs that the report reads (struct net, net_device, queues, RPS and XPS
  maps, BPF programs' struct bpf_prog and bpf_prog_aux), with the names, aliases and
  addresses of all devices, the names of programs, and the instructions of attached
  XDP programs; the entries of maps of devices, CPUs and AF_XDP sockets, state and
  rings' counts of these sockets, and the name of the process that has each; the paths
  that network namespaces are mounted at and BPF links are pinned at; PIDs of all
  tasks, names of ten processes and the host name of each namespace; names of processes
  that hold rtnl_mutex, BPF links or namespaces; kernel stacks of tasks that hold
  rtnl_mutex, tear a device or a namespace down, or wait for it; paths of cgroups, which
  have the ids of containers and pods; code of dev_xdp_attach() and of drivers; the
  kernel's types (BTF) and symbol names (kallsyms), the same as in its package; the
  names and types of the loaded modules; the page tables that lead there; VMCOREINFO
  (release, build, addresses)

what is not in it:
  memory of user processes; packets (only their number in each queue); other sockets;
  keys; the kernel's log; instructions of BPF programs that are not attached for XDP;
  contents of other maps; routes; anything else on the same pages

exit status:
  0  the slice was written, and gives the same report as the target
  2  wrong use: bad options; OUTPUT exists (--force replaces it) or is an input; the
     output failed; drgn is older than 0.1; or the slice gives another report than
     the target, and no file is left
  3  the target could not be read
130  Ctrl-C interrupted it
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the script's options."""
    p = new_parser("vmcore_slice.py", _DESCRIPTION, _EPILOG)
    p.usage = "%(prog)s [-h] [OPTION ...] [DUMP [SYMBOLS ...]] OUTPUT"
    p.add_argument(
        "slice",
        metavar="OUTPUT",
        nargs="?",
        help="where to write it; compressed by xz if the name ends in .xz",
    )
    p.add_argument(
        "--output",
        metavar="FILE",
        help="where to write it, as an option; then all words are files to read",
    )
    p.add_argument(
        "--force",
        action="store_true",
        help="replace OUTPUT if it exists; never an input file",
    )
    p.add_argument(
        "--list",
        action="store_true",
        help="write nothing: print every name, path and address in the slice that is "
        "named instead of OUTPUT",
    )
    p.add_argument(
        "--without-names",
        action="store_true",
        help="leave out kernel stacks, names of processes, cgroups and hosts, aliases "
        "and addresses",
    )
    add_target_options(p)
    return p


def _copy(
    plain: IO[bytes], packed: IO[bytes], reached: Callable[[float], None]
) -> None:
    size = plain.seek(0, os.SEEK_END)
    plain.seek(0)
    while data := plain.read(_CHUNK):
        packed.write(data)
        reached(plain.tell() / size)


def _write(taken: Slice, path: str, inputs: Sequence[str], force: bool) -> str:
    # drgn opens files only, and not compressed ones: check the slice in a plain file.
    # It has no name, so that no kernel memory stays on disk if this process is killed.
    with tempfile.TemporaryFile(prefix="drgn-veth-", suffix=".core") as plain:
        taken.write(plain)
        plain.flush()
        with working("checking the slice"):
            check_slice(f"/proc/self/fd/{plain.fileno()}", taken)
        plain.seek(0)
        with replacing(path, inputs, force) as out:
            if path.endswith(".xz"):
                preset = 9 | lzma.PRESET_EXTREME
                with working("compressing the slice") as reached:
                    with lzma.open(out, "wb", preset=preset) as packed:
                        _copy(plain, packed, reached)
            else:
                shutil.copyfileobj(plain, out)
            return f"{out.tell()} bytes" if out.seekable() else "written"


def _list(path: str, args: argparse.Namespace) -> int:
    if args.core or args.qemu or args.without_names:
        raise UsageError(
            "--list reads a slice: leave out -c, --qemu and --without-names"
        )
    with contextlib.ExitStack() as stack:
        args.core = path
        if path.endswith(".xz"):
            try:
                packed = stack.enter_context(open(path, "rb"))
            except OSError as e:
                raise TargetError(f"{path}: {reason(e)}") from None
            plain = stack.enter_context(unpacked(path, packed))
            args.core = f"/proc/self/fd/{plain.fileno()}"
        try:
            prog = opening.open_target(None, args)
            found = disclosed(prog, opening.take(prog, traffic=True))
        except TargetError as e:
            raise TargetError(str(e).replace(args.core, path)) from None
    lines = sorted({f"{what:10} {for_terminal(text)}\n" for what, text in found})
    there = {what for what, _ in found}
    lines += [f"{name}: none\n" for what, name in KINDS.items() if what not in there]
    write_output("".join(lines), None, [args.slice])
    return EXIT_OK


def _arguments(
    argv: Optional[list[str]], has_target: bool = False
) -> argparse.Namespace:
    # Without --output, the last word is the slice; before it, the dump and its symbols
    # may be.
    p = parser()
    args = p.parse_intermixed_args(argv)
    words: list[str] = [*filter(None, [args.slice]), *args.files]
    if args.output is not None:
        words.append(args.output)
    if not words:
        raise UsageError(f"name the file to write; {p.prog} -h lists the options")
    *args.files, args.slice = words
    if not args.list:
        _check_slice(args, has_target)
    take_files(args)
    return args


def _check_slice(args: argparse.Namespace, has_target: bool) -> None:
    # "slice vmcore" alone, or a dump behind the slice: it would be written over. Only
    # an older slice may be, with --force.
    path = args.slice
    if not is_replaced(path):
        return
    if is_symbols(path):
        raise UsageError(f"{path} has symbols: also name the file to write, after it")
    if not is_dump(path):
        return
    has_target = has_target or bool(args.core or args.qemu)
    if not has_target:
        has_target = any(map(os.path.isfile, args.files))
    if not (has_target and args.force and is_slice(path)):
        raise UsageError(f"{path} is a dump: also name the file to write, after it")


def main(prog: Optional[Program], argv: Optional[list[str]] = None) -> int:
    """Run the script, and return its exit status."""
    args = _arguments(argv, prog is not None)
    if args.list:
        return _list(args.slice, args)
    before = opening.inputs(prog, args)
    check_output(args.slice, before, args.force)
    check_output(None, before)  # A summary goes to standard output.
    to_device = not is_replaced(args.slice) and os.path.exists(args.slice)
    target = opening.open_target(prog, args)
    try:
        with working("reading devices and namespaces"):
            taken = slice_target(target, not args.without_names)
        warn_of_part(target)
        size = _write(taken, args.slice, opening.inputs(target, args), args.force)
    except UnreadTargetError as e:
        raise unread(target, str(e)) from None
    except SliceError as e:
        raise UsageError(str(e)) from None
    except OSError as e:
        # replacing() has reported errors of the output.
        raise UsageError(
            f"cannot write to {tempfile.gettempdir()}: {e.strerror}; set TMPDIR to "
            "a directory with room for the uncompressed slice"
        ) from None
    reasons = [why for _, why in unreadable_in(taken.snapshot)]
    missing = len(reasons) - reasons.count(LEFT_OUT)
    if missing:
        warn(
            f"{count(missing, 'value')} could not be read, and the slice lacks the same"
        )
    if missing < len(reasons):
        warn(f"{count(len(reasons) - missing, 'value')} left out (--without-names)")
    said = (
        f"{args.slice}: {size}, {count(len(taken.snapshot.devices), 'device')} in "
        f"{count(len(taken.snapshot.namespaces), 'namespace')}, "
        f"{sum(len(data) for _, data in taken.segments)} bytes of kernel memory"
    )
    if to_device:
        warn(said)  # The slice itself may be on standard output.
    else:
        write_output(f"{said}\n", None, opening.inputs(target, args))
    return EXIT_OK
