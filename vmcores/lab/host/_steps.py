# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all of the lab uses: errors, progress lines, commands, locks, atomic folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import fcntl
import glob
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Callable

__all__ = (
    "LabError",
    "build_folder",
    "cache_dir",
    "hash_of",
    "lock",
    "need_programs",
    "run",
    "say",
    "step",
)

_START = time.monotonic()

# The program that must be on PATH, and the Debian package that has it.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "setpriv": "util-linux",
    "du": "coreutils",
    "zstd": "zstd",
    "tar": "tar",
}
# What only some need, and ask for.
MORE_PROGRAMS = {
    "chromium": "chromium",
    "dot": "graphviz",
    "makedumpfile": "makedumpfile",
    "qemu-system-aarch64": "qemu-system-arm",
}
PACKAGES_WITHOUT_PROGRAM = {
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


class LabError(Exception):
    """An error for the user of the lab: one line, and after a newline its details."""


def say(text: str) -> None:
    """Print a progress line with the seconds since the start."""
    print(
        f"lab: [{time.monotonic() - _START:6.1f} s] {text}", file=sys.stderr, flush=True
    )


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print that a long step starts, and how long it took."""
    say(text + " ...")
    start = time.monotonic()
    yield
    say(f"{text}: done in {time.monotonic() - start:.1f} s")


def cache_dir() -> Path:
    """Return the folder of downloads and of everything made from them."""
    name = os.environ.get("DRGN_VETH_CACHE")
    path = Path(name).expanduser() if name else Path.home() / ".cache" / "drgn-veth"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise LabError(
            f"cannot make the cache folder {path}: {e.strerror}; set DRGN_VETH_CACHE"
        ) from e
    return path.resolve()


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = 3600,
) -> str:
    """Run a command and return its standard output.

    :raises LabError: it failed; the error has the last lines of its output
    """
    # Debian keeps mke2fs, depmod and others outside an ordinary user's PATH.
    full_env = dict(os.environ)
    full_env["PATH"] = full_env.get("PATH", "") + ":/usr/sbin:/sbin"
    full_env["LC_ALL"] = "C.UTF-8"
    full_env.update(env or {})
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=full_env,
            cwd=cwd,
            timeout=timeout,
        )
    except FileNotFoundError as e:
        raise LabError(f"{argv[0]} is not installed") from e
    except subprocess.TimeoutExpired as e:
        raise LabError(f"{' '.join(argv[:4])} took longer than {timeout} s") from e
    if done.returncode:
        said = (
            (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        )
        raise LabError(
            f"{' '.join(argv[:4])} failed with status {done.returncode}: "
            + (said[-1] if said else "no output")
            + "".join("\n  " + line for line in said[-12:-1])
        )
    return done.stdout.decode(errors="replace")


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock against other processes that use the same cache."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    with open(folder / name, "w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process ({name})")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


def hash_of(folder: Path, unwanted: Callable[[Path], bool] = lambda path: False) -> str:
    """Return a hash of the files in a folder, bytecode and hidden ones aside.

    :param unwanted: Whether to leave out a path too, relative to the folder
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if (
            not path.is_file()
            or any(part == "__pycache__" or part[0] == "." for part in relative.parts)
            or unwanted(relative)
        ):
            continue
        digest.update(f"{'/'.join(relative.parts)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_folder(final: Path, fill: Callable[[Path], None]) -> Path:
    """Fill a new folder, and give it its name only once it is complete.

    The caller holds a lock.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    # An interrupted run left these behind. We hold the lock, so nobody uses them.
    for stale in final.parent.glob(f".{glob.escape(final.name)}.tmp*"):
        shutil.rmtree(stale, ignore_errors=True)
    temp = Path(tempfile.mkdtemp(prefix=f".{final.name}.tmp", dir=final.parent))
    try:
        temp.chmod(0o755)
        fill(temp)
        if final.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{final.name}.tmp", dir=final.parent))
            final.rename(old / "old")
            temp.rename(final)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temp.rename(final)
    except BaseException:
        shutil.rmtree(temp, ignore_errors=True)
        raise
    return final


def _has(program: str) -> bool:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return shutil.which(program, path=path) is not None


def need_programs(programs: Sequence[str] | None = None) -> None:
    """Install the system packages whose programs are missing."""
    known = {**PROGRAMS, **MORE_PROGRAMS}
    wanted = PROGRAMS if programs is None else {p: known[p] for p in programs}
    missing = {package for program, package in wanted.items() if not _has(program)}
    missing |= {
        package
        for path, package in PACKAGES_WITHOUT_PROGRAM.items()
        if not os.path.exists(path)
    }
    if not missing:
        return
    names: list[str] = sorted(missing)
    if os.geteuid() != 0:
        raise LabError(
            f"packages are missing: run as root, or apt-get install {' '.join(names)}"
        )
    if not _has("apt-get"):
        raise LabError(
            f"the lab installs packages only on Debian; install: {' '.join(names)}"
        )
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *names]
    with lock("system-packages"), step(f"install {' '.join(names)}"):
        try:
            run(install, env=env)
        except LabError:
            # Usually the index is too old, or there is none.
            run(["apt-get", "-q", "update"], env=env)
            run(install, env=env)
