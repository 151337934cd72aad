#!/usr/bin/env drgn
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Write a small core that has only the memory that a full veth report reads: what can be
sent to a colleague instead of the dump. drgn opens it with plain -c, and the report
needs no debug symbols.
"""

import os
import sys

# drgn puts only the folder of the script on sys.path.
sys.path.insert(
    0,
    os.path.join(
        os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "helpers"
    ),
)

import drgn_veth_start  # noqa: E402

with drgn_veth_start.importing(__name__):
    import argparse
    import lzma
    import shutil
    import tempfile
    from typing import List, Optional

    import drgn
    from drgn_veth import cli, opening
    from drgn_veth.model import unreadable_in
    from drgn_veth.slice import (
        Slice,
        SliceError,
        check_slice,
        slice_target,
    )
    from drgn_veth.snapshot import UnreadTargetError

_EPILOG = """\
examples:
  drgn -c vmcore scripts/vmcore_slice.py veth.core.xz
  drgn -c vmcore -s vmlinux -s veth.ko.debug scripts/vmcore_slice.py veth.core
                                   where the dump tells no symbols or types
  xz -d veth.core.xz && drgn -c veth.core scripts/veth_report.py

what is in it, byte for byte and no more:
  the structs that the report reads (struct net, net_device, queues, RPS and XPS
  maps, BPF programs' struct bpf_prog and bpf_prog_aux), with the names, aliases and
  MAC addresses of all devices and the names of XDP programs; the paths that network
  namespaces are mounted at and BPF links are pinned at; number and name of one
  process in each namespace that is mounted nowhere, and of who holds rtnl_mutex;
  code of dev_xdp_attach() and of a driver; the kernel's types (BTF) and symbol names
  (kallsyms), which are those of its package; the names and types of the loaded
  modules; page tables on the way there; VMCOREINFO (release, build, addresses)

what is not in it:
  memory of user processes; packets; sockets; keys; the kernel's log; instructions
  of BPF programs and contents of maps; IP addresses and routes; what else lies on a
  page with the above

exit status:
  0  the slice was written, and its report is the report of the target
  2  wrong use: options, an output that fails, a drgn before 0.1
  3  the target could not be read
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vmcore_slice.py",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "slice",
        metavar="FILE",
        help="where to write it; compressed if the name ends in .xz",
    )
    opening.add_target_options(parser)
    return parser


def _write(taken: Slice, path: str) -> int:
    # drgn opens files only: first as it is, to see that it does what it should.
    with tempfile.NamedTemporaryFile(prefix="drgn-veth-", suffix=".core") as plain:
        taken.write(plain)  # type: ignore[arg-type]
        plain.flush()
        check_slice(plain.name, taken)
        plain.seek(0)
        with cli.replacing(path) as out:
            if path.endswith(".xz"):
                preset = 9 | lzma.PRESET_EXTREME
                with lzma.open(out, "wb", preset=preset) as packed:
                    shutil.copyfileobj(plain, packed)
            else:
                shutil.copyfileobj(plain, out)
    return os.path.getsize(path)


def main(prog: Optional[drgn.Program], argv: Optional[List[str]] = None) -> int:
    args = _parser().parse_args(argv)
    target = opening.open_target(prog, args)
    try:
        taken = slice_target(target)
        size = _write(taken, args.slice)
    except UnreadTargetError as e:
        raise opening.unread(target, str(e)) from None
    except SliceError as e:
        raise cli.UsageError(str(e)) from None
    except OSError as e:
        # Of the output, cli.replacing() has told.
        raise cli.UsageError(
            f"cannot write to {tempfile.gettempdir()}: {e.strerror}; TMPDIR names "
            "another folder for what is not compressed yet"
        ) from None
    missing = sum(1 for _ in unreadable_in(taken.snapshot))
    if missing:
        cli.warn(f"{missing} values could not be read here, and cannot in the slice")
    print(
        f"{args.slice}: {size} bytes, {len(taken.snapshot.devices)} devices in "
        f"{len(taken.snapshot.namespaces)} namespaces, "
        f"{sum(len(data) for _, data in taken.segments)} bytes of kernel memory"
    )
    return cli.EXIT_OK


if __name__ == "__main__":
    sys.exit(cli.run(main, globals().get("prog")))
