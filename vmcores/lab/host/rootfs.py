# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's userland: Debian trixie's tools and drgn in a read-only ext4 image."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
import shutil
import sys

from ._steps import LabError, build_folder, cache_dir, lock, run, step
from .archive import Archive, Package, unpack
from .bytecode import compile_folders, compiler, compiling
from .kernels import Kernel
from .machines import AMD64, Machine

__all__ = ("PYTHON_PATH", "ext4_image", "get", "kernel_disk")

PACKAGES = (
    "bash",
    "bpftool",
    "busybox-static",
    "coreutils",
    "dash",
    "ethtool",
    "gawk",
    "grep",
    "iproute2",
    "kexec-tools",
    "kmod",
    # drgn's wheel needs it.
    "libstdc++6",
    "makedumpfile",
    "mount",
    "procps",
    "python3",
    "sed",
    "util-linux",
)
DRGN = "drgn"
PYTHON_PACKAGES = ("tabulate",)
# Where drgn and tabulate are in the guest.
PYTHON_PATH = "/opt/python"
LAYOUT = 2

# No scene needs these, and they would double the image.
SUPERFLUOUS = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/perl",
    "usr/share/perl5",
    "usr/share/zoneinfo",
    "usr/lib/*-linux-gnu/perl",
    "usr/lib/*-linux-gnu/perl-base",
    "usr/lib/python3.13/idlelib",
    "usr/lib/python3.13/ensurepip",
    "usr/lib/python3.13/lib2to3",
)


def _python_packages(machine: Machine) -> list[str]:
    return [DRGN, *PYTHON_PACKAGES] if machine.has_drgn else list(PYTHON_PACKAGES)


def get(machine: Machine = AMD64) -> Path:
    """Return the folder with the userland of a machine: rootfs.ext4, busybox, and
    rootfs.json (what it is made of).
    """
    archive = Archive(machine)
    packages = archive.with_dependencies(PACKAGES)
    about: dict[str, object] = {
        "layout": LAYOUT,
        "packages": {
            p.name: [p.version, p.sha256]
            for p in sorted(packages, key=lambda p: p.name)
        },
        "python": _python_packages(machine),
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder_name = "rootfs" if machine.arch == AMD64.arch else f"rootfs-{machine.arch}"
    final = cache_dir() / folder_name / key
    with lock(folder_name):
        if (final / "rootfs.json").exists():
            return final
        debs = archive.fetch_all(packages, "the guest")

        def fill(folder: Path) -> None:
            tree = folder / "tree"
            unpack(tree, debs)
            _add_python_packages(tree, machine)
            _finish(tree)
            if os.geteuid() == 0:
                if machine.arch == AMD64.arch:
                    _compile(tree, machine)
                else:
                    _compile_elsewhere(tree, machine)
            shutil.copy2(tree / "usr/bin/busybox", folder / "busybox")
            ext4_image(folder / "rootfs.ext4", tree)
            about["versions"] = _versions(tree, packages)
            shutil.rmtree(tree)
            (folder / "rootfs.json").write_text(json.dumps(about, indent=1) + "\n")

        with step("make the guest's userland"):
            build_folder(final, fill)
        _forget_older(final)
    return final


def _forget_older(final: Path) -> None:
    """Keep the two newest userlands. A running guest has its image open."""
    others = sorted(
        (
            p
            for p in final.parent.iterdir()
            if p != final and not p.name.startswith(".")
        ),
        key=lambda p: p.stat().st_mtime,
    )
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)


def _python_version(tree: Path) -> str:
    found = sorted((tree / "usr/lib").glob("python3.*"))
    if not found:
        raise LabError("trixie's python3 has no standard library")
    return found[-1].name[len("python") :]


def _pip() -> list[str]:
    """Return the command of a pip that works: this Python's, or Debian's."""
    for python in (sys.executable, "/usr/bin/python3"):
        if python and os.path.exists(python):
            pip = [python, "-m", "pip"]
            with contextlib.suppress(LabError):
                run([*pip, "--version"])
                return pip
    if os.geteuid() != 0:
        raise LabError("pip is missing; run as root, or: apt-get install python3-pip")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with step("install python3-pip"):
        run(["apt-get", "-q", "update"], env=env)
        run(
            [
                "apt-get",
                "-q",
                "-y",
                "--no-install-recommends",
                "install",
                "python3-pip",
            ],
            env=env,
        )
    return ["/usr/bin/python3", "-m", "pip"]


def _add_python_packages(tree: Path, machine: Machine) -> None:
    target = tree / PYTHON_PATH.lstrip("/")
    run(
        [
            *_pip(),
            "install",
            "--quiet",
            "--no-compile",
            "--no-input",
            "--disable-pip-version-check",
            "--target",
            str(target),
            "--python-version",
            _python_version(tree),
            "--only-binary=:all:",
            f"--platform=manylinux2014_{machine.wheels}",
            f"--platform=manylinux_2_28_{machine.wheels}",
            "--platform=any",
            *_python_packages(machine),
        ]
    )


def _finish(tree: Path) -> None:
    version = _python_version(tree)
    for name in SUPERFLUOUS:
        for path in tree.glob(name):
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(tree / "usr/lib" / f"python{version}" / "test", ignore_errors=True)
    # The mount points: the image itself is read-only.
    for name in (
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "root",
        "out",
        "lab",
        "kernel",
        "mnt",
        "var/tmp",
        "var/log",
        "etc",
    ):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in ("usr/lib/modules", "usr/lib/debug"):
        path = tree / name
        if path.is_dir():
            shutil.rmtree(path)
        path.symlink_to("/kernel/lib/" + name.rsplit("/", 1)[1])
    # The packages' own scripts would have made these.
    for link, goal in (
        ("usr/bin/awk", "gawk"),
        ("usr/bin/sh", "dash"),
        ("etc/mtab", "../proc/self/mounts"),
        ("etc/netns", "../run/etc-netns"),
        ("var/run", "../run"),
    ):
        path = tree / link
        if not path.is_symlink() and not path.exists():
            path.symlink_to(goal)
    (tree / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
    )
    (tree / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (tree / "etc/hostname").write_text("lab\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost lab\n")


def _compile(tree: Path, machine: Machine) -> None:
    compile_folders(tree, *_modules(tree))
    # Find a missing shared library now, and not in a guest.
    modules = ", ".join(_python_packages(machine))
    run(
        [
            "chroot",
            str(tree),
            "/usr/bin/env",
            f"PYTHONPATH={PYTHON_PATH}",
            "python3",
            "-B",
            "-c",
            f"import {modules}",
        ]
    )


def _compile_elsewhere(tree: Path, machine: Machine) -> None:
    """Compile with the same Python of this host's machine."""
    root = compiler()
    if _python_version(root) != _python_version(tree):
        raise LabError(f"trixie's python3 is not the same on {machine.arch} and amd64")
    modules = _modules(tree)
    with compiling(root) as inside:
        tree.rename(inside / "tree")
        compile_folders(root, *modules, prefix=f"/{inside.name}/tree")
        (inside / "tree").rename(tree)


def _modules(tree: Path) -> tuple[str, ...]:
    return f"/usr/lib/python{_python_version(tree)}", PYTHON_PATH


def _versions(tree: Path, packages: list[Package]) -> dict[str, str]:
    version = {p.name: p.version for p in packages}
    found = {
        name: version[name]
        for name in ("makedumpfile", "iproute2", "bpftool", "ethtool", "python3")
    }
    for path in (tree / PYTHON_PATH.lstrip("/")).glob("*.dist-info"):
        name, _, number = path.name[: -len(".dist-info")].partition("-")
        found[name] = number
    return found


def ext4_image(path: Path, tree: Path, megabytes: int | None = None) -> None:
    """Make a sparse raw ext4 image of a folder, by default as small as possible."""
    if megabytes is None:
        used = int(run(["du", "-s", "-B1M", "--apparent-size", str(tree)]).split()[0])
        blocks = int(run(["du", "-s", "-B1M", str(tree)]).split()[0])
        megabytes = max(used, blocks) * 115 // 100 + 32
    path.unlink(missing_ok=True)
    run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum",
         "-m", "0", "-E", "root_owner=0:0,lazy_itable_init=1",
         "-d", str(tree), str(path), f"{megabytes}M"]
    )  # fmt: skip


def kernel_disk(kernel: Kernel) -> Path:
    """The kernel's own disk: modules, and debug symbols for drgn in the guest."""
    final = kernel.folder / "disk.ext4"
    with lock(f"kernel-{kernel.release}"):
        if final.exists():
            return final

        def fill(folder: Path) -> None:
            tree = folder / "tree"
            debug = tree / "lib/debug/lib/modules" / kernel.release
            debug.mkdir(parents=True)
            os.link(kernel.vmlinux, debug / "vmlinux")
            (tree / "vmlinux").symlink_to(
                f"lib/debug/lib/modules/{kernel.release}/vmlinux"
            )
            (tree / "debug").mkdir()
            for path in kernel.debug_modules.values():
                os.link(path, tree / "debug" / path.name)
                os.link(path, debug / path.name)
            shutil.copytree(
                kernel.modules,
                tree / "lib/modules" / kernel.release,
                symlinks=True,
                copy_function=os.link,
            )
            ext4_image(folder / "disk.ext4", tree)
            shutil.rmtree(tree)

        with step(f"make the disk of {kernel.release}"):
            folder = build_folder(kernel.folder / "disk", fill)
            (folder / "disk.ext4").rename(final)
            folder.rmdir()
    return final
