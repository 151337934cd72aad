# SPDX-License-Identifier: LGPL-2.1-or-later
"""Python modules, compiled on the host for the guest, whose CPU is emulated."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import hashlib
import os
from pathlib import Path
import shutil
import tempfile

from ._steps import LabError, build_folder, cache_dir, hash_of, lock, run, step
from .archive import Archive, unpack

__all__ = ("compile_folders", "compiler", "compiling", "copy_compiled")

#: Debian's package with the Python of the guests of all machines. Their bytecode is the
#: same.
COMPILER = ("python3",)

_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def compiler() -> Path:
    """Return a folder with the guest's Python in the form that runs on the host."""
    archive = Archive()
    packages = archive.with_dependencies(COMPILER)
    about = "\n".join(sorted(package.sha256 for package in packages))
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    final = cache_dir() / "compiler" / key
    with lock("compiler"):
        if not final.exists():
            debs = archive.fetch_all(packages, "the compiler")
            with step("unpack the guest's Python"):
                build_folder(final, lambda folder: unpack(folder, debs))
    return final


@contextlib.contextmanager
def compiling(root: Path) -> Iterator[Path]:
    """Make a folder in *root* for what is to be compiled; it goes away afterwards."""
    with lock("compiling"):
        for left_behind in root.glob("compiling-*"):
            shutil.rmtree(left_behind)
        with tempfile.TemporaryDirectory(prefix="compiling-", dir=root) as folder:
            yield Path(folder)


def compile_folders(root: Path, *folders: str, prefix: str = "") -> None:
    """Compile all modules in folders.

    :param root: Has the Python that compiles; it becomes the root folder
    :param folders: Where the guest has them
    :param prefix: Where they are in *root* instead
    """
    elsewhere = ["-s", prefix, "-p", "/"] if prefix else []
    # Without -I, PYTHONPYCACHEPREFIX would send the bytecode where no guest looks.
    run(
        ["chroot", str(root), "/usr/bin/python3", "-I", "-m", "compileall", "-q",
         "--invalidation-mode=unchecked-hash", *elsewhere,
         *(prefix + folder for folder in folders)]
    )  # fmt: skip
    for folder in folders:
        if not any(Path(f"{root}{prefix}{folder}").rglob("__pycache__")):
            raise LabError(f"compileall left nothing in the guest's {folder}")


def copy_compiled(source: Path, target: Path, place: str) -> None:
    """Copy a folder for the guest, and compile the modules in it if we are root.

    Each state of a folder is compiled once.

    :param place: Where the guest will have it
    """
    if os.geteuid() != 0 or not any(source.rglob("*.py")):
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=_IGNORED)
        return
    folder_name = place.strip("/").replace("/", "-")
    final = cache_dir() / "bytecode" / folder_name / hash_of(source)[:16]

    def fill(folder: Path) -> None:
        root = compiler()
        with compiling(root) as inside:
            tree = Path(f"{inside}{place}")
            shutil.copytree(source, tree, ignore=_IGNORED)
            compile_folders(root, place, prefix=f"/{inside.name}")
            shutil.copytree(tree, folder, dirs_exist_ok=True)

    with lock("bytecode"):
        if not final.exists():
            build_folder(final, fill)
            for old in final.parent.iterdir():
                if old != final:
                    shutil.rmtree(old)
        shutil.copytree(final, target, dirs_exist_ok=True)
