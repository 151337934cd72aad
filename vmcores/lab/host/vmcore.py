# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a kernel and a scene to a crash dump with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import datetime
import hashlib
import json
import os
from pathlib import Path
import re
import shlex
import shutil
import time
from typing import Any, Callable

from . import kernels
from ._steps import LabError, build_folder, cache_dir, lock, need_programs, say, step
from .archive import Archive
from .kernels import Kernel
from .qemu_guest import Died, Guest, qemu_version

__all__ = ("Hook", "Result", "elf_hook", "make", "scenes", "source_hash")

# Called when the guest is quiet: the scene stands, the truth and the answers are
# recorded, nothing has crashed yet. The path is the folder of the result, where the
# hook may leave files.
Hook = Callable[[Guest, Path], None]

LAB = Path(__file__).resolve().parent.parent
REPOSITORY = LAB.parent.parent
TRIES = 4
# Scenes in which the kernel is not asked about XDP attaches: where rtnl_mutex is held
# it would never answer, of a thousand pairs there is nothing to learn, and what is
# attached on trial would heal what "rules" is about.
UNASKED = frozenset(("dying", "minimal", "rules", "scale"))


@dataclass(frozen=True)
class Result:
    """A dump and what belongs to it."""

    folder: Path
    vmcore: Path
    truth: Path
    #: What the kernel answered to XDP attaches; None where it was not asked.
    answers: Path | None
    console: Path
    kernel: Kernel
    lab: Mapping[str, Any]
    reused: bool

    def drgn_command(self, script: str = "scripts/veth_report.py") -> str:
        """A command line that can be pasted."""
        words = ["drgn", "-c", str(self.vmcore), "-s", str(self.kernel.vmlinux)]
        if "veth" in self.kernel.debug_modules:
            words += ["-s", str(self.kernel.debug_modules["veth"])]
        return " ".join(map(shlex.quote, [*words, script]))


def scenes() -> list[str]:
    """The names of the scenes."""
    return sorted(
        p.stem for p in (LAB / "scenes").glob("*.sh") if not p.name.startswith("_")
    )


def source_hash(scene: str) -> str:
    """Return a hash of what decides the content of a dump: all of the lab, except for
    the other scenes and the pages for readers.
    """
    digest = hashlib.sha256()
    others = set(scenes()) - {scene}
    for path in sorted(LAB.rglob("*")):
        parts = path.relative_to(LAB).parts
        if (
            not path.is_file()
            or path.suffix == ".md"
            or any(part == "__pycache__" or part.startswith(".") for part in parts)
        ):
            continue
        if parts[0] == "scenes" and path.suffix == ".sh" and path.stem in others:
            continue
        digest.update(f"{'/'.join(parts)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def elf_hook(guest: Guest, folder: Path) -> None:
    """A hook that leaves QEMU's own ELF dump in the result as vmcore.elf."""
    with step("dump by QEMU"):
        guest.qmp_dump_elf(folder / "vmcore.elf")


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
    smp: int = 4,
    level: int | None = None,
    files: Mapping[str, Path] | None = None,
    timeout: float = 600,
    force: bool = False,
) -> Result:
    """Boot the kernel, set the scene, record the truth, call the early hooks, ask what
    the kernel answers to XDP attaches, call the hooks, panic.

    What exists and was made of the same things is used again. With hooks that is so
    only when a hook_key is given and is the same as before: it stands for what the
    hooks do and for the files that they left. ``files`` go into the guest like
    Guest's; the repository's helpers/ and drgn_scripts/ are always in /lab/repo.
    ``level`` forces makedumpfile's -d.
    """
    if scene not in scenes():
        raise LabError(f"there is no scene {scene!r}; there are {', '.join(scenes())}")
    env = dict(env or {})
    for name in env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise LabError(f"{name!r} cannot be a variable's name")
    need_programs()
    # A thousand pairs do not fit in less.
    memory = memory_mb or (2048 if scene == "scale" else 1024)
    archive = Archive()
    chosen = kernels.get(kernel, archive)
    key: dict[str, Any] = {
        "series": kernel,
        "release": chosen.release,
        "kernel_version": chosen.version,
        "scene": scene,
        "env": env,
        "memory_mb": memory,
        "smp": smp,
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
                f"{final} is there and was not made by the lab; it is left alone"
            )

        def fill(folder: Path) -> None:
            _fill(
                folder,
                chosen,
                scene,
                env or {},
                key,
                list(early_hooks),
                list(hooks),
                files or {},
                timeout,
            )

        build_folder(final, fill)
    made = _load(final, chosen, key)
    if made is None:
        raise LabError(f"{final} is not whole after it was made")
    return Result(
        made.folder,
        made.vmcore,
        made.truth,
        made.answers,
        made.console,
        chosen,
        made.lab,
        False,
    )


def _folder_name(series: str, scene: str, env: Mapping[str, str]) -> str:
    parts = [series, scene]
    # N=100 and N=1000 of a scene live side by side.
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
    # What was made with more than is asked for now serves too.
    for extra in ("elf", "hook_key"):
        if not key[extra]:
            made[extra] = key[extra]
    if made != key:
        return None
    files = [folder / name for name in ("vmcore", "truth.json", "console.log")]
    answers = None if key["scene"] in UNASKED else folder / "answers.json"
    if answers is not None:
        files.append(answers)
    if not all(path.is_file() for path in files) or files[
        0
    ].stat().st_size != about.get("vmcore_size"):
        return None
    return Result(folder, files[0], files[1], answers, files[2], kernel, about, True)


def _fill(
    folder: Path,
    kernel: Kernel,
    scene: str,
    env: Mapping[str, str],
    key: Mapping[str, Any],
    early_hooks: Sequence[Hook],
    hooks: Sequence[Hook],
    files: Mapping[str, Path],
    timeout: float,
) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            _attempt(
                folder,
                kernel,
                scene,
                env,
                key,
                early_hooks,
                hooks,
                files,
                timeout,
            )
            return
        except LabError as e:
            kept = _keep_console(folder, f"{kernel.release}-{scene}")
            if not isinstance(e, Died):
                raise LabError(f"{e}{kept}") from e
            if attempt == TRIES:
                raise LabError(
                    f"{TRIES} boots of {kernel.release} died; the last: {e}{kept}"
                ) from e
            say(f"boot {attempt} of {kernel.release} died, trying another: {e}")
            # Nothing of that boot may meet the next one.
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _attempt(
    folder: Path,
    kernel: Kernel,
    scene: str,
    env: Mapping[str, str],
    key: Mapping[str, Any],
    early_hooks: Sequence[Hook],
    hooks: Sequence[Hook],
    files: Mapping[str, Path],
    timeout: float,
) -> None:
    start = time.monotonic()
    inside: dict[str, Path] = {}
    for name in ("helpers", "drgn_scripts"):
        if (REPOSITORY / name).is_dir():
            inside[f"/lab/repo/{name}"] = REPOSITORY / name
    inside.update(files)
    say(f"boot {kernel.release}")
    seconds: dict[str, float] = {}

    def lap(name: str, since: float) -> None:
        seconds[name] = round(time.monotonic() - since, 1)

    memory, smp, level = key["memory_mb"], key["smp"], key["level"]
    with Guest(
        kernel,
        memory_mb=memory,
        smp=smp,
        files=inside,
        console_log=folder / "console.log",
    ) as guest:
        lap("boot", start)
        with step(f"scene {scene}"):
            since = time.monotonic()
            said = guest.run(f"dash /lab/scenes/{scene}.sh", env=env, timeout=timeout)
            (folder / "scene.log").write_text(said)
            lap("scene", since)
        with step("record the truth"):
            since = time.monotonic()
            guest.run(
                "python3 /lab/guest/truth.py /out/truth.json", env=env, timeout=timeout
            )
            guest.run("test -s /out/truth.json")
            lap("truth", since)
        for hook in early_hooks:
            hook(guest, folder)
        if scene not in UNASKED:
            with step("ask about XDP attaches"):
                since = time.monotonic()
                asked = guest.run(
                    "python3 /lab/guest/prober.py /out/answers.json",
                    env=env,
                    timeout=timeout,
                )
                lap("answers", since)
            say(asked.strip())
        if key["elf"]:
            elf_hook(guest, folder)
        for hook in hooks:
            hook(guest, folder)
        with step("panic and kdump"):
            since = time.monotonic()
            guest.crash(timeout=timeout, level=level)
            lap("kdump", since)
        out = folder / ".out"
        guest.empty_out_disk(out)
        console = guest.console()
    log = _read(out / "makedumpfile.log")
    status = _read(out / "makedumpfile.status").split()
    if len(status) != 2 or status[0] != "0" or not (out / "vmcore").exists():
        raise Died(
            "makedumpfile failed:"
            + "".join("\n  " + line for line in log.strip().splitlines()[-12:])
        )
    wanted = ["vmcore", "truth.json"]
    if scene not in UNASKED:
        wanted.append("answers.json")
    for name in wanted:
        if not (out / name).exists():
            raise Died(f"the guest's disk has no {name}")
        shutil.move(str(out / name), folder / name)
    (folder / "makedumpfile.log").write_text(
        _read(out / "makedumpfile.first.log") + log
    )
    shutil.rmtree(out)
    (folder / "vmcore").chmod(0o644)
    (folder / "console.log").write_text(console)
    version = re.search(r"makedumpfile: version (\S+)", log)
    about = {
        "series": kernel.short_series,
        "release": kernel.release,
        "kernel_version": kernel.version,
        "vmlinux": str(kernel.vmlinux),
        "debug_modules": {
            name: str(path) for name, path in kernel.debug_modules.items()
        },
        "scene": scene,
        "env": dict(env),
        "makedumpfile": {
            "version": version.group(1) if version else None,
            "level": int(status[1]),
        },
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


def _keep_console(folder: Path, name: str) -> str:
    """Save the console of a run that failed, and tell where it is."""
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
