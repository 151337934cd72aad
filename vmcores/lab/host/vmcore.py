# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dumps of kernels with scenes: made, or found again where nothing has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import hashlib
import json
from pathlib import Path
import re
import shlex
from typing import Any

from . import kernels
from ._steps import LabError, build_folder, cache_dir, hash_of, lock, need_programs, say
from .dump import ASKED, UNASKED, Hook, Order, make_dump
from .kernels import Kernel
from .qemu_guest import LAB

__all__ = ("Result", "make", "scenes", "source_hash")


# Of scenes that take another machine: one CPU is isolated, and one goes offline, beside
# the four that have work.
_CPUS = {"path": 6, "rules": 6}
#: What comes at the end of the kernel's command line.
_APPEND = {"path": "isolcpus=domain,4", "rules": "isolcpus=4"}


@dataclass(frozen=True)
class Result:
    """A dump, and the files beside it."""

    folder: Path
    vmcore: Path
    truth: Path
    #: What the kernel answered to XDP attaches; None where it was not asked.
    answers: Path | None
    console: Path
    kernel: Kernel
    lab: Mapping[str, Any]
    reused: bool

    @property
    def asked(self) -> Path:
        """What the kernel answered to other questions, in scenes of ``ASKED``."""
        return self.folder / "asked.json"

    def drgn_command(self, script: str = "scripts/veth_report.py") -> str:
        """Return a command line that opens the dump, for a shell."""
        words = ["drgn", "-c", str(self.vmcore), "-s", str(self.kernel.vmlinux)]
        if "veth" in self.kernel.debug_modules:
            words += ["-s", str(self.kernel.debug_modules["veth"])]
        return " ".join(map(shlex.quote, [*words, script]))


def scenes() -> list[str]:
    """Return the names of the scenes."""
    return sorted(
        p.stem for p in (LAB / "scenes").glob("*.sh") if not p.name.startswith("_")
    )


def source_hash(scene: str) -> str:
    """Return a hash of what decides the content of a dump.

    That is every file of the lab, except for other scenes and documentation.
    """
    others = set(scenes()) - {scene}

    def unwanted(path: Path) -> bool:
        if path.suffix == ".md":
            return True
        in_scenes = path.parts[0] == "scenes" and path.suffix == ".sh"
        return in_scenes and path.stem in others

    return hash_of(LAB, unwanted)


def make(
    kernel: str,
    scene: str,
    *,
    out_dir: Path | None = None,
    env: Mapping[str, str] | None = None,
    hooks: Sequence[Hook] = (),
    early_hooks: Sequence[Hook] = (),
    hook_key: str = "",
    elf: bool = False,
    memory_mb: int | None = None,
    smp: int | None = None,
    level: int | None = None,
    files: Mapping[str, Path] | None = None,
    timeout: float = 600,
    force: bool = False,
) -> Result:
    """Boot a kernel, set a scene, record the truth, call the early hooks, ask the
    kernel about XDP attaches, call the hooks, panic.

    Returns an existing dump if it was made from the same things. With hooks it does so
    only for the same hook_key, which stands for what the hooks do and which files they
    leave. ``files`` go into the guest like those of Guest; the repository's helpers/
    and drgn_scripts/ are always in /lab/repo. ``level`` is makedumpfile's -d.
    """
    if scene not in scenes():
        raise LabError(f"there is no scene {scene!r}; there are {', '.join(scenes())}")
    env = dict(env or {})
    for name in env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise LabError(f"{name!r} is not a valid name of a variable")
    need_programs()
    # A thousand pairs need that much.
    memory = memory_mb or (2048 if scene == "scale" else 1024)
    cpus = smp or _CPUS.get(scene, 4)
    chosen = kernels.get(kernel)
    key: dict[str, Any] = {
        "series": kernel,
        "release": chosen.release,
        "kernel_version": chosen.version,
        "scene": scene,
        "env": env,
        "memory_mb": memory,
        "smp": cpus,
        "level": level,
        "elf": elf,
        "hook_key": hook_key,
        "sources": source_hash(scene),
    }
    final = (
        Path(out_dir)
        if out_dir
        else cache_dir() / "vmcores" / _folder_name(kernel, scene, env)
    )
    final = final.expanduser().absolute()
    lock_name = "vmcore-" + hashlib.sha256(str(final).encode()).hexdigest()[:16]
    with lock(lock_name):
        if not force and (hook_key or not (hooks or early_hooks)):
            old = _load(final, chosen, key)
            if old is not None:
                say(f"{final} is up to date")
                return old
        if (
            final.exists()
            and any(final.iterdir())
            and not (final / "lab.json").exists()
        ):
            raise LabError(
                f"{final} exists and was not made by the lab; not touching it"
            )

        order = Order(
            kernel=chosen,
            scene=scene,
            env=env,
            memory_mb=memory,
            smp=cpus,
            append=_APPEND.get(scene, ""),
            level=level,
            elf=elf,
            early_hooks=early_hooks,
            hooks=hooks,
            files=files or {},
            timeout=timeout,
        )
        build_folder(final, lambda folder: make_dump(order, key, folder))
    made = _load(final, chosen, key)
    if made is None:
        raise LabError(f"{final} is not complete after it was made")
    return replace(made, reused=False)


def _folder_name(series: str, scene: str, env: Mapping[str, str]) -> str:
    parts = [series, scene]
    # So that N=100 and N=1000 of a scene can exist together.
    parts += [f"{k}={re.sub(r'[^A-Za-z0-9.]', '_', v)}" for k, v in sorted(env.items())]
    return "-".join(parts)


def _load(folder: Path, kernel: Kernel, key: Mapping[str, Any]) -> Result | None:
    try:
        about = json.loads((folder / "lab.json").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(about, dict) or not isinstance(about.get("key"), dict):
        return None
    made = dict(about["key"])
    # A dump that was made with more serves as well.
    for extra in ("elf", "hook_key"):
        if not key[extra]:
            made[extra] = key[extra]
    if made != key:
        return None
    files = [folder / name for name in ("vmcore", "truth.json", "console.log")]
    answers = None if key["scene"] in UNASKED else folder / "answers.json"
    if answers is not None:
        files.append(answers)
    if key["scene"] in ASKED:
        files.append(folder / "asked.json")
    if not all(path.is_file() for path in files) or files[
        0
    ].stat().st_size != about.get("vmcore_size"):
        return None
    return Result(folder, files[0], files[1], answers, files[2], kernel, about, True)
