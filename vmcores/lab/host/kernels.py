# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's kernels, unpacked: image, modules and debug symbols in one folder each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
import lzma
from pathlib import Path
import re
import shutil
import subprocess
import tempfile

from ._steps import LabError, build_folder, cache_dir, lock, run, say, step
from .archive import Archive, Build
from .machines import AMD64, Machine, split_name

__all__ = ("DEFAULT_SERIES", "Kernel", "choose", "get")

DEFAULT_SERIES = ("5.10", "6.1", "6.12", "7")

# Modules whose types the report or its tests use. All modules would be a gigabyte.
DEBUG_MODULES = (
    "8021q",
    "act_mirred",
    "bonding",
    "bridge",
    "dummy",
    "geneve",
    "ifb",
    "ipvlan",
    "macvlan",
    "macvtap",
    "netkit",
    "tun",
    "veth",
    "virtio_net",
    "vrf",
    "vxlan",
)
# Raise it when the layout of the folder changes, so that old folders are replaced.
LAYOUT = 1


@dataclass(frozen=True)
class Kernel:
    """A kernel that is ready to boot and to debug."""

    series: str
    release: str
    version: str
    folder: Path
    vmlinuz: Path
    vmlinux: Path
    modules: Path
    debug_modules: Mapping[str, Path]
    machine: Machine = AMD64

    @property
    def short_series(self) -> str:
        """'6.1' for 6.1.0-56-cloud-amd64."""
        return ".".join(self.release.split(".")[:2])

    @property
    def short_name(self) -> str:
        """The series, and the machine unless it is amd64: '6.12-arm64'."""
        return "-".join(filter(None, (self.short_series, self.machine.name)))

    def module_path(self, name: str) -> Path | None:
        """Return the module's file, or None if it is built in or absent."""
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path = line.split(":")[0]
            if _module_name(path) == name.replace("-", "_"):
                return self.modules / path
        return None

    def load_order(self, names: Sequence[str]) -> list[Path]:
        """Return the files to load, in order, for these modules and their dependencies.

        Skips built-in ones.
        """
        needs: dict[str, list[str]] = {}
        path_of: dict[str, str] = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, rest = line.partition(":")
            path_of[_module_name(path)] = path
            needs[path] = rest.split()
        order: list[str] = []

        def add(path: str) -> None:
            # modules.dep lists all dependencies, the deepest last.
            for needed in reversed(needs[path]):
                if needed not in order:
                    order.append(needed)
            if path not in order:
                order.append(path)

        for name in names:
            if name in path_of:
                add(path_of[name])
        return [self.modules / path for path in order]


def _module_name(path: str) -> str:
    return re.sub(r"\.ko(\.(xz|zst|gz|debug))?$", "", path.rsplit("/", 1)[-1]).replace(
        "-", "_"
    )


def choose(series: str, archive: Archive | None = None) -> list[Build]:
    """Return the builds of a series in the order in which to try them.

    That is newest first; for "6.12-oldest", oldest first.
    """
    name, machine = split_name(series)
    oldest = name.endswith("-oldest")
    builds = (archive or Archive(machine)).builds(
        name[: -len("-oldest") * oldest or None]
    )
    return builds[::-1] if oldest else builds


def get(series: str, archive: Archive | None = None) -> Kernel:
    """Return the first of :func:`choose` whose packages are all available.

    Fetches and unpacks it unless it is in the cache.
    """
    _, machine = split_name(series)
    archive = archive or Archive(machine)
    failures: list[str] = []
    for build in choose(series, archive):
        final = cache_dir() / "kernels" / build.release
        with lock(f"kernel-{build.release}"):
            kernel = _load(final, series, build, machine)
            if kernel:
                return kernel
            try:
                # Debug symbols first: the archive lacks them most often.
                debs = {
                    name: archive.fetch(archive.describe(name, build.version))
                    for name in (build.debug, *build.image)
                }
            except LabError as e:
                reason = str(e).splitlines()[0]
                say(
                    f"{build.release} is not available ({reason}), trying another build"
                )
                failures.append(f"{build.release}: {reason}")
                continue

            def fill(
                folder: Path, build: Build = build, debs: dict[str, Path] = debs
            ) -> None:
                _unpack(folder, build, debs)

            with step(f"unpack {build.release}"):
                build_folder(final, fill)
            kernel = _load(final, series, build, machine)
            if kernel is None:
                raise LabError(f"{final} is not complete after it was made")
            return kernel
    raise LabError(
        f"no build of {series} could be fetched:"
        + "".join("\n  " + f for f in failures)
    )


def _load(folder: Path, series: str, build: Build, machine: Machine) -> Kernel | None:
    try:
        about = json.loads((folder / "kernel.json").read_text())
    except (OSError, ValueError):
        return None
    if about != _about(build):
        return None
    modules = folder / "usr" / "lib" / "modules" / build.release
    debug = {
        _module_name(p.name): p for p in sorted((folder / "debug").glob("*.ko.debug"))
    }
    return Kernel(
        series,
        build.release,
        build.version,
        folder,
        folder / "vmlinuz",
        folder / "vmlinux",
        modules,
        debug,
        machine,
    )


def _about(build: Build) -> dict[str, object]:
    return {
        "layout": LAYOUT,
        "release": build.release,
        "version": build.version,
        "debug": list(DEBUG_MODULES),
    }


def _extract(deb: Path, folder: Path, patterns: Sequence[str]) -> None:
    """Unpack the files of a package that match. A pattern may match nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    reader = subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(deb)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    tar = subprocess.run(
        ["tar", "-x", "--no-same-owner", "-C", str(folder), "--wildcards", *patterns],
        stdin=reader.stdout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout is not None and reader.stderr is not None
    reader.stdout.close()
    said = reader.stderr.read().decode(errors="replace").strip()
    if reader.wait() != 0:
        raise LabError(
            f"cannot unpack {deb.name}: "
            + (said.splitlines()[-1] if said else "dpkg-deb failed")
        )
    errors = [
        line
        for line in tar.stderr.decode(errors="replace").splitlines()
        if "Not found in archive" not in line and "previous errors" not in line
    ]
    if errors:
        raise LabError(f"cannot unpack {deb.name}: {errors[0]}")


def _one(found: Sequence[Path], what: str) -> Path:
    if not found:
        raise LabError(f"the packages have no {what}: Debian changed their layout")
    return found[0]


def _unpack(folder: Path, build: Build, debs: Mapping[str, Path]) -> None:
    release = build.release
    with tempfile.TemporaryDirectory(dir=folder) as name:
        raw = Path(name)
        for package in build.image:
            _extract(
                debs[package],
                raw / "image",
                ["./boot/vmlinuz-*", "./lib/modules/*", "./usr/lib/modules/*"],
            )
        patterns = [f"*/vmlinux-{release}", f"*/{release}/vmlinux"]
        for module in DEBUG_MODULES:
            # The file is veth.ko.debug or veth.ko; its name may have - for _.
            patterns += [
                f"*/{module.replace('_', '[_-]')}.ko",
                f"*/{module.replace('_', '[_-]')}.ko.debug",
            ]
        _extract(debs[build.debug], raw / "debug", patterns)

        image = raw / "image"
        trees = [
            p
            for p in (
                image / "usr/lib/modules" / release,
                image / "lib/modules" / release,
            )
            if p.is_dir()
        ]
        tree = _one(trees, "module tree")
        for extra in trees[1:]:
            shutil.copytree(extra, tree, dirs_exist_ok=True, symlinks=True)
        kernels = [*(image / "boot").glob(f"vmlinuz-{release}"), *tree.glob("vmlinuz")]
        shutil.move(str(_one(kernels, "vmlinuz")), folder / "vmlinuz")
        for name in ("build", "source"):
            if (tree / name).is_symlink():
                (tree / name).unlink()
        (folder / "usr/lib/modules").mkdir(parents=True)
        # depmod looks in lib/modules or usr/lib/modules; that depends on its version.
        (folder / "lib").symlink_to("usr/lib")
        modules = folder / "usr/lib/modules" / release
        shutil.move(str(tree), modules)
        _decompress(modules)
        run(["depmod", "-b", str(folder), release])

        found = [
            p
            for p in (raw / "debug").rglob("vmlinux*")
            if p.is_file() and not p.is_symlink()
        ]
        shutil.move(str(_one(found, "vmlinux with debug symbols")), folder / "vmlinux")
        (folder / "debug").mkdir()
        for path in sorted((raw / "debug").rglob("*.ko*")):
            if path.is_file() and not path.is_symlink():
                shutil.move(
                    str(path), folder / "debug" / f"{_module_name(path.name)}.ko.debug"
                )
    if not (folder / "debug" / "veth.ko.debug").exists():
        raise LabError(f"{build.debug} has no debug symbols of veth")
    for path in (folder / "vmlinuz", folder / "vmlinux"):
        path.chmod(0o644)
    (folder / "kernel.json").write_text(json.dumps(_about(build), indent=1) + "\n")


def _decompress(modules: Path) -> None:
    """Unpack compressed modules: busybox cannot load them, and an emulated CPU takes
    long to unpack.
    """
    for path in modules.rglob("*.ko.xz"):
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()
    compressed = [str(p) for p in modules.rglob("*.ko.zst")]
    for start in range(0, len(compressed), 500):
        run(["zstd", "-q", "-d", "--rm", *compressed[start : start + 500]])
