# SPDX-License-Identifier: LGPL-2.1-or-later
"""One dump: boot a kernel, set a scene, record the truth, ask the kernel, panic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass
import datetime
import json
import os
from pathlib import Path
import re
import shutil
import time
from typing import Any, Callable

from ._steps import LabError, cache_dir, say, step
from .kernels import Kernel
from .qemu import Died, qemu_version
from .qemu_guest import LAB, Guest, try_boots

__all__ = ("ASKED", "UNASKED", "Hook", "Order", "elf_hook", "make_dump")

# Called while the guest is idle: the scene is set, the truth recorded, nothing has
# crashed yet. The path is the folder of the result, where the hook may leave files; so
# it may in the guest's /out/kept, and the dump's folder has them in the end.
Hook = Callable[[Guest, Path], None]

REPOSITORY = LAB.parent.parent
# These are always in the guest, under /lab/repo.
IN_GUEST = ("helpers", "drgn_scripts")
# Scenes in which the prober does not ask: "dying" and "teardown" hold rtnl_mutex, so
# that the kernel would never answer; "scale" and "whose" would answer the same
# thousands of times; nothing that "moving" has stays as it was asked; a trial attach
# would mend what "rules" shows, be counted in "counters", move what "flight" holds,
# change what is in the rings of "maps", and undo what "path" measured.
UNASKED = frozenset(
    (
        *("asked", "counters", "dying", "flight", "maps", "minimal", "moving"),
        *("path", "rules", "scale", "teardown", "whose"),
    )
)
#: Scenes in which the asker asks for other things than attaches.
ASKED = frozenset(("asked",))


@dataclass(frozen=True)
class Order:
    """What to make a dump of."""

    kernel: Kernel
    scene: str
    #: The scene's settings.
    env: Mapping[str, str]
    memory_mb: int
    smp: int
    #: What comes at the end of the kernel's command line.
    append: str
    #: makedumpfile's -d, or None for the lowest that is safe.
    level: int | None
    #: Whether to keep QEMU's own ELF dump as well.
    elf: bool
    early_hooks: Sequence[Hook]
    hooks: Sequence[Hook]
    #: More files for the guest.
    files: Mapping[str, Path]
    #: Seconds for each step.
    timeout: float


def elf_hook(guest: Guest, folder: Path) -> None:
    """A hook that leaves QEMU's own ELF dump in the result as vmcore.elf."""
    with step("dump by QEMU"):
        guest.qmp_dump_elf(folder / "vmcore.elf")


def make_dump(order: Order, key: Mapping[str, Any], folder: Path) -> None:
    """Make a dump in a folder. Tries again if the guest dies.

    :param key: goes into lab.json; the dump is reused while the key is the same
    """
    release = order.kernel.release

    def attempt() -> None:
        # Keep nothing of a boot that died.
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        try:
            _attempt(order, key, folder)
        except LabError as e:
            kept = _keep_console(folder, f"{release}-{order.scene}")
            raise type(e)(f"{e}{kept}") from e

    try_boots(release, attempt)


def _attempt(order: Order, key: Mapping[str, Any], folder: Path) -> None:
    seconds: dict[str, float] = {}
    out = folder / ".out"
    console = _run(order, folder, out, seconds)
    level = _take(order, folder, out)
    shutil.rmtree(out)
    (folder / "console.log").write_text(console)
    kernel = order.kernel
    about = {
        "series": kernel.short_series,
        "release": kernel.release,
        "kernel_version": kernel.version,
        "vmlinux": str(kernel.vmlinux),
        "debug_modules": {
            name: str(path) for name, path in kernel.debug_modules.items()
        },
        "scene": order.scene,
        "env": dict(order.env),
        "makedumpfile": {"version": _version(folder), "level": level},
        "qemu": qemu_version(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
        "seconds": seconds,
        "vmcore_size": (folder / "vmcore").stat().st_size,
        "key": dict(key),
    }
    (folder / "lab.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    os.sync()


def _run(order: Order, folder: Path, out: Path, seconds: dict[str, float]) -> str:
    """Boot, set the scene, ask, panic; return the console."""
    files = {f"/lab/repo/{name}": REPOSITORY / name for name in IN_GUEST}
    files.update(order.files)
    start = time.monotonic()
    say(f"boot {order.kernel.release}")
    with Guest(
        order.kernel,
        memory_mb=order.memory_mb,
        smp=order.smp,
        append=order.append,
        files=files,
        console_log=folder / "console.log",
    ) as guest:
        seconds["boot"] = round(time.monotonic() - start, 1)

        def run(command: str) -> str:
            return guest.run(command, env=order.env, timeout=order.timeout)

        with _timed(f"scene {order.scene}", "scene", seconds):
            said = run(f"dash /lab/scenes/{order.scene}.sh")
            (folder / "scene.log").write_text(said)
        with _timed("record the truth", "truth", seconds):
            run("python3 /lab/guest/truth.py /out/truth.json")
            run("test -s /out/truth.json")
        for hook in order.early_hooks:
            hook(guest, folder)
        if order.scene not in UNASKED:
            with _timed("ask about XDP attaches", "answers", seconds):
                asked = run("python3 /lab/guest/prober.py /out/answers.json")
            say(asked.strip())
        if order.scene in ASKED:
            with _timed("ask for other things", "asked", seconds):
                asked = run("python3 /lab/guest/asker.py /out/asked.json")
            say(asked.strip())
        if order.elf:
            elf_hook(guest, folder)
        for hook in order.hooks:
            hook(guest, folder)
        with _timed("panic and kdump", "kdump", seconds):
            guest.crash(timeout=order.timeout, level=order.level)
        guest.empty_out_disk(out)
        return guest.console()


@contextlib.contextmanager
def _timed(what: str, name: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.monotonic()
    with step(what):
        yield
    seconds[name] = round(time.monotonic() - start, 1)


def _take(order: Order, folder: Path, out: Path) -> int | None:
    """Take the files of the guest's out disk; return makedumpfile's level, or None if
    the dump is /proc/vmcore as it was.
    """
    log = _read(out / "makedumpfile.log")
    status = _read(out / "makedumpfile.status").split()
    if len(status) != 2 or status[0] != "0" or not (out / "vmcore").exists():
        last = [f"\n  {line}" for line in log.strip().splitlines()[-12:]]
        raise Died("makedumpfile failed:" + "".join(last))
    wanted = ["vmcore", "truth.json"]
    if order.scene not in UNASKED:
        wanted.append("answers.json")
    if order.scene in ASKED:
        wanted.append("asked.json")
    for name in wanted:
        if not (out / name).exists():
            raise Died(f"the guest's disk has no {name}")
        shutil.move(str(out / name), folder / name)
    # What hooks have left in the guest's /out/kept.
    for path in sorted((out / "kept").glob("*")):
        shutil.move(str(path), folder / path.name)
    (folder / "vmcore").chmod(0o644)
    first = _read(out / "makedumpfile.first.log")
    (folder / "makedumpfile.log").write_text(first + log)
    return None if status[1] == "copy" else int(status[1])


def _version(folder: Path) -> str | None:
    log = _read(folder / "makedumpfile.log")
    version = re.search(r"makedumpfile: version (\S+)", log)
    return version.group(1) if version else None


def _keep_console(folder: Path, name: str) -> str:
    """Save the console of a failed run, and return words that say where it is."""
    source, goal = folder / "console.log", cache_dir() / "failed" / f"{name}.log"
    if not source.exists():
        return ""
    goal.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, goal)
    return f"\n  (the whole console: {goal})"


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
