#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Record the cores again: ``make vmcores``.

For each kernel and scene, the lab boots the kernel, sets up the scene and makes it
panic. vmcore_slice.py makes a small core of the dump. Next to it go the truth of the
same boot, the kernel's answers to XDP attaches, and golden output (golden.py).
"""

from collections.abc import Mapping, Sequence
import json
import lzma
from pathlib import Path
import subprocess
import sys

from drgn_veth.btf.declarations import MODULE_TYPES, OPTIONAL_MODULE_TYPES
import golden
import lab

__all__ = ("SCENES", "main", "record")

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent / "drgn_scripts"
SCENES: Mapping[str, Sequence[str]] = {
    "5.10": ("zoo",),
    "6.1": ("zoo", "attach", "whose"),
    "6.12": ("zoo",),
    "6.12-arm64": ("zoo",),
    "7": ("zoo", "attach", "maps"),
}
MOST = 3 << 20  # bytes of a core


def _drgn(*args: object) -> None:
    argv = [sys.executable, "-m", "drgn", "-q", *map(str, args)]
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)


def _pack(source: Path, goal: Path) -> None:
    data = source.read_bytes()
    goal.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def record(kernel: str, scene: str) -> str:
    """Record one kernel with a scene, and return what its files are called."""
    made = lab.make(kernel, scene)
    name = f"{made.kernel.short_name}-{scene}"
    symbols: list[object] = ["-s", made.kernel.vmlinux]
    for _, module in (*MODULE_TYPES, *OPTIONAL_MODULE_TYPES):
        symbols += ["-s", made.kernel.debug_modules[module]]
    core = HERE / f"{name}.core"
    packed = HERE / f"{name}.core.xz"
    _drgn("-c", made.vmcore, *symbols, SCRIPTS / "vmcore_slice.py", packed, "--force")
    if packed.stat().st_size > MOST:
        raise SystemExit(f"{packed} has more than {MOST} bytes")
    core.write_bytes(lzma.decompress(packed.read_bytes()))
    try:
        golden.write(name, core)
    finally:
        core.unlink()
    _pack(made.truth, HERE / f"{name}.truth.json.xz")
    if made.answers is not None:
        _pack(made.answers, HERE / f"{name}.answers.json.xz")
    about = {
        key: made.lab[key]
        for key in (
            "release",
            "kernel_version",
            "scene",
            "makedumpfile",
            "qemu",
            "date",
        )
    }
    about["vmcore_size"] = made.vmcore.stat().st_size
    about["core_size"] = packed.stat().st_size
    text = json.dumps(about, indent=1, sort_keys=True) + "\n"
    (HERE / f"{name}.json").write_text(text)
    return name


def main(kernels: list[str]) -> int:
    """Record the kernels that are named, or all."""
    for kernel in kernels or list(SCENES):
        for scene in SCENES[kernel]:
            print(record(kernel, scene), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
