# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's command line."""

from __future__ import annotations

import argparse
from pathlib import Path
import signal
import sys

from .host import kernels, rootfs
from .host._steps import LabError, need_programs
from .host.vmcore import make, scenes

__all__ = ("main",)


def _setting(text: str) -> list[str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return [name, value]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m lab",
        description="Make real crash dumps: fetch a Debian kernel with its debug "
        "symbols, boot it in QEMU, set a scene of network devices, record what the "
        "kernel's own tools say, panic, and keep the kdump.",
        epilog="Everything is kept, and reused, in $DRGN_VETH_CACHE (default "
        "~/.cache/drgn-veth).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    vmcore = commands.add_parser(
        "vmcore", help="make a crash dump", description="Make a crash dump."
    )
    vmcore.add_argument(
        "--kernel",
        required=True,
        metavar="K",
        help="5.10, 6.1, 6.12, 7 (the newest 7.x), a build such as 6.12.107, or one "
        "of these on another machine: 6.12-arm64",
    )
    vmcore.add_argument(
        "--scene", required=True, metavar="S", help=f"one of: {', '.join(scenes())}"
    )
    vmcore.add_argument(
        "--set", action="append", default=[], type=_setting,
        metavar="NAME=VALUE", dest="settings",
        help="a setting of the scene, such as N=1000 (may be repeated)",
    )  # fmt: skip
    vmcore.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the result goes (default: in the cache)",
    )
    vmcore.add_argument(
        "--elf",
        action="store_true",
        help="also keep QEMU's own ELF dump of the same moment",
    )
    vmcore.add_argument(
        "--force",
        action="store_true",
        help="make it again even if nothing has changed",
    )
    vmcore.add_argument(
        "--memory",
        type=int,
        metavar="MB",
        help="the guest's memory (default 1024, for scale 2048)",
    )
    vmcore.add_argument(
        "--dump-level", type=int, metavar="D", choices=range(32),
        help="makedumpfile's -d (default 31, or 1 for a kernel it does not know)",
    )  # fmt: skip
    commands.add_parser(
        "kernels",
        help="show which kernels it would choose",
        description="Show which kernels it would choose.",
    )
    fetch = commands.add_parser(
        "fetch",
        help="fetch and unpack kernels",
        description="Fetch and unpack kernels.",
    )
    fetch.add_argument(
        "kernels", nargs="*", metavar="K", help="default: 5.10 6.1 6.12 7"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    args = _parser().parse_args(argv)
    # An exception, so that QEMU is killed and unfinished folders are removed.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if args.command == "vmcore":
            settings: dict[str, str] = dict(args.settings)
            result = make(
                args.kernel,
                args.scene,
                out_dir=args.out,
                env=settings,
                elf=args.elf,
                memory_mb=args.memory,
                level=args.dump_level,
                force=args.force,
            )
            print(result.drgn_command())
        elif args.command == "kernels":
            for series in kernels.DEFAULT_SERIES:
                builds = kernels.choose(series)
                older = ", ".join(b.release for b in builds[1:])
                print(
                    f"{series:5} {builds[0].release} ({builds[0].version})"
                    + (f"; then {older}" if older else "")
                )
        else:
            need_programs()
            for series in args.kernels or kernels.DEFAULT_SERIES:
                kernel = kernels.get(series)
                rootfs.get(kernel.machine)
                rootfs.kernel_disk(kernel)
                print(f"{series:5} {kernel.vmlinux}")
    except LabError as e:
        print(f"lab: error: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    except OSError as e:
        print(f"lab: error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
