# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian archive, through a private apt that ignores the host's packages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import contextlib
from dataclasses import asdict, dataclass
from functools import cmp_to_key
import hashlib
import json
from pathlib import Path
import re
import subprocess
import time

from ._steps import LabError, cache_dir, lock, run, say, step
from .machines import AMD64, Machine

__all__ = ("Archive", "Build", "Package", "unpack")

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
INDEX_HOURS = 12

# The suite in which a series is the release's own kernel, not a backport.
SUITES = {
    "5.10": "bullseye",
    "6.1": "bookworm",
    "6.12": "trixie",
    "7": "trixie-backports",
}

# Kernels and userland come from these suites alone.
SOURCES = (
    ("debian", "bullseye"),
    ("debian-security", "bullseye-security"),
    ("debian", "bookworm"),
    ("debian-security", "bookworm-security"),
    ("debian", "trixie"),
    ("debian-security", "trixie-security"),
    ("debian", "trixie-backports"),
)


@dataclass(frozen=True)
class Package:
    """One version of a binary package, as the index describes it."""

    name: str
    version: str
    arch: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.arch}.deb"


@dataclass(frozen=True)
class Build:
    """One build of a kernel: the packages with its image, modules and debug symbols."""

    release: str
    version: str
    image: tuple[str, ...]
    debug: str


def _mirrors() -> tuple[str, str]:
    """Return the system's mirrors of the archive and of security updates."""
    text = ""
    for path in [
        Path("/etc/apt/sources.list"),
        *sorted(Path("/etc/apt/sources.list.d").glob("*")),
    ]:
        if path.suffix in (".list", ".sources") and path.is_file():
            lines = path.read_text(errors="replace").splitlines()
            text += (
                "\n".join(line for line in lines if not line.lstrip().startswith("#"))
                + "\n"
            )
    uris = [
        uri.rstrip("/")
        for uri in re.findall(r"\b(?:https?|file|mirror\+\w+)://?[^\s\]]+", text)
    ]
    main = [uri for uri in uris if uri.endswith("/debian")]
    security = [
        uri for uri in uris if uri.endswith(("/debian-security", "security.debian.org"))
    ]
    return (
        main[0] if main else "http://deb.debian.org/debian",
        security[0]
        if security
        else (
            main[0] + "-security" if main else "http://deb.debian.org/debian-security"
        ),
    )


def _compare(a: Build, b: Build) -> int:
    if a.version == b.version:
        return 0
    less = (
        subprocess.run(
            ["dpkg", "--compare-versions", a.version, "lt", b.version]
        ).returncode
        == 0
    )
    return -1 if less else 1


class Archive:
    """A private apt root of a machine in the cache folder."""

    def __init__(self, machine: Machine = AMD64, refresh: bool = False) -> None:
        self.machine = machine
        arch = "" if machine.arch == AMD64.arch else f"-{machine.arch}"
        self.root = cache_dir() / f"apt{arch}"
        self.debs = cache_dir() / "debs"
        self._env = {"APT_CONFIG": str(self.root / "apt.conf")}
        with lock("apt"):
            self._set_up()
            self._update(refresh)

    def _set_up(self) -> None:
        for name in (
            "state/lists/partial",
            "cache/archives/partial",
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/trusted.gpg.d",
        ):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.debs.mkdir(exist_ok=True)
        (self.root / "state/status").touch()
        mirror, security = _mirrors()
        arch = self.machine.arch
        sources = "".join(
            f"deb [arch={arch} signed-by={KEYRING}] "
            f"{mirror if kind == 'debian' else security} {suite} main\n"
            for kind, suite in SOURCES
            if self.machine.suites is None or suite in self.machine.suites
        )
        config = (
            f'Dir "{self.root}";\nDir::State "state";\n'
            f'Dir::State::status "{self.root}/state/status";\n'
            'Dir::Cache "cache";\nDir::Etc "etc";\n'
            'Dir::Etc::sourcelist "sources.list";\nDir::Etc::sourceparts "-";\n'
            'Dir::Etc::main "-";\nDir::Etc::preferences "-";\n'
            # The index of an old release has expired, and is still right.
            'Acquire::Check-Valid-Until "false";\nAcquire::Languages "none";\n'
            'Acquire::Retries "3";\n'
            f'APT::Architecture "{arch}";\nAPT::Architectures {{ "{arch}"; }};\n'
            'APT::Install-Recommends "false";\nAPT::Sandbox::User "root";\n'
            'APT::Default-Release "/^trixie(-security)?$/";\nDebug::NoLocking "true";\n'
        )
        for name, text in (("etc/sources.list", sources), ("apt.conf", config)):
            path = self.root / name
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
                (self.root / "updated").unlink(missing_ok=True)

    def _update(self, refresh: bool) -> None:
        stamp = self.root / "updated"
        if (
            not refresh
            and stamp.exists()
            and time.time() - stamp.stat().st_mtime < INDEX_HOURS * 3600
        ):
            return
        try:
            with step("read the archive's index"):
                run(["apt-get", "-q", "update", "--error-on=any"], env=self._env)
        except LabError as e:
            if not stamp.exists():
                raise
            say(f"cannot update the archive's index, using the old one: {e}")
            return
        stamp.touch()

    def _apt(self, *argv: str) -> str:
        return run(argv, env=self._env)

    def _releases(self, names: Iterable[str]) -> list[str]:
        # Of all builds of the flavour. linux-image-6.1-cloud-amd64-dbg is a meta
        # package, not a build; and -cloud-amd64 is not the flavour amd64.
        debug = re.compile(
            r"linux-image-(\d+\.\d+\.\d[^_]*?)-"
            r"((?:cloud|rt)-)?([a-z][a-z0-9]*(?:-16k)?)-dbg"
        )
        return [
            f"{m.group(1)}-{self.machine.flavour}"
            for m in map(debug.fullmatch, names)
            if m and (m.group(2) or "") + m.group(3) == self.machine.flavour
        ]

    def builds(self, series: str) -> list[Build]:
        """Return the builds of a series that have debug symbols, newest first."""
        names = set(self._apt("apt-cache", "pkgnames", "linux-").split())
        flavour = self.machine.flavour
        all_releases = self._releases(names)
        wanted = re.compile(rf"{re.escape(series)}[.+-]")
        releases = [release for release in all_releases if wanted.match(release)]
        found: list[Build] = []
        if releases:
            table = self._apt(
                "apt-cache",
                "madison",
                *sorted(f"linux-image-{r}-dbg" for r in releases),
            )
            for line in table.splitlines():
                name, version, source = (part.strip() for part in line.split("|"))
                suite = source.split()[1].split("/")[0]
                home = SUITES.get(series)
                if home and suite not in (home, home + "-security"):
                    continue
                release = name[len("linux-image-") : -len("-dbg")]
                if f"linux-binary-{release}" in names:
                    # Since Debian's 7.2 the image package only depends on these.
                    image: tuple[str, ...] = (
                        f"linux-binary-{release}",
                        f"linux-modules-{release}",
                    )
                else:
                    image = (f"linux-image-{release}",)
                build = Build(release, version, image, name)
                if set(image) <= names and build not in found:
                    found.append(build)
        if not found:
            known = sorted({".".join(r.split(".")[:2]) for r in all_releases})
            raise LabError(
                f"the archive has no {flavour} kernel {series!r} with debug symbols; "
                f"it has {', '.join(known)}"
            )
        return sorted(found, key=cmp_to_key(_compare), reverse=True)

    def describe(self, name: str, version: str | None = None) -> Package:
        """Return what the index says about a package."""
        text = self._apt(
            "apt-cache",
            "--no-all-versions",
            "show",
            f"{name}={version}" if version else name,
        )
        return _package(text.split("\n\n")[0])

    def with_dependencies(self, names: Sequence[str]) -> list[Package]:
        """Return the packages that apt would install for these on an empty trixie."""
        # apt takes seconds to answer, and answers the same until the index changes.
        kept = self.root / "dependencies.json"
        question = [(self.root / "updated").stat().st_mtime_ns, *names]
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(kept.read_text())
            if known["question"] == question:
                return [Package(**fields) for fields in known["answer"]]
        text = self._apt("apt-get", "install", "-qq", "-y", "--print-uris", *names)
        lines = [line for line in text.splitlines() if line.startswith("'")]
        files = [
            re.match(r"'[^']+' ([^\s_]+)_(\S+)_[a-z0-9]+\.deb ", line) for line in lines
        ]
        wanted = [f"{m.group(1)}={m.group(2).replace('%3a', ':')}" for m in files if m]
        if not wanted or len(wanted) != len(lines):
            raise LabError(f"apt cannot tell the dependencies of {' '.join(names)}")
        shown = self._apt("apt-cache", "--no-all-versions", "show", *wanted)
        packages = [_package(paragraph) for paragraph in shown.strip().split("\n\n")]
        with lock("dependencies"):
            kept.write_text(
                json.dumps(
                    {"question": question, "answer": [asdict(p) for p in packages]}
                )
            )
        return packages

    def fetch(self, package: Package) -> Path:
        """Return the package's file, and download it unless it is there and intact."""
        path = self.debs / package.filename
        with lock(f"deb-{package.name}"):
            gone = self.root / "gone" / package.filename
            if (
                gone.exists()
                and gone.stat().st_mtime >= (self.root / "updated").stat().st_mtime
            ):
                raise LabError(
                    f"{package.filename} is in the index, but not in the archive"
                )
            if path.exists():
                if _sha256(path) == package.sha256:
                    return path
                say(f"{path.name} in the cache is broken, fetching it again")
                path.unlink()
            try:
                with step(
                    f"fetch {package.name} {package.version} "
                    f"({package.size / 1e6:.0f} MB)"
                ):
                    self._download([package])
            except LabError as e:
                if "404" in str(e):
                    # Do not ask again until the index changes.
                    gone.parent.mkdir(exist_ok=True)
                    gone.touch()
                raise
        return path

    def fetch_all(self, packages: list[Package], what: str) -> list[Path]:
        """Return the files of many small packages."""
        paths = [self.debs / p.filename for p in packages]
        with lock("debs"):
            missing = []
            for package, path in zip(packages, paths):
                if not path.exists() or _sha256(path) != package.sha256:
                    path.unlink(missing_ok=True)
                    missing.append(package)
            if missing:
                with step(
                    f"fetch {len(missing)} packages "
                    f"({sum(p.size for p in missing) / 1e6:.0f} MB) for {what}"
                ):
                    self._download(missing)
        return paths

    def _download(self, packages: list[Package]) -> None:
        # apt resumes an interrupted download and checks the hash.
        run(
            ["apt-get", "-q", "download", *(f"{p.name}={p.version}" for p in packages)],
            env=self._env,
            cwd=self.debs,
        )
        for package in packages:
            path = self.debs / package.filename
            if not path.exists() or _sha256(path) != package.sha256:
                raise LabError(
                    f"{package.filename} does not match the archive's index; "
                    "try again later"
                )


def unpack(tree: Path, debs: Sequence[Path]) -> None:
    """Unpack packages into a folder that becomes a root file system."""
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    # base-files ships these links, but other packages may come before it.
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to("usr/" + name)
    for deb in debs:
        run(["dpkg-deb", "-x", str(deb), str(tree)])
    for name in ("bin", "sbin", "lib", "lib64"):
        if not (tree / name).is_symlink():
            raise LabError(
                f"a package made /{name} a folder of its own: "
                "the guest's userland cannot be merged"
            )


def _package(paragraph: str) -> Package:
    field: dict[str, str] = dict(
        re.findall(r"^([A-Za-z0-9-]+): (.*)$", paragraph, re.M)
    )
    return Package(
        field["Package"],
        field["Version"],
        field["Architecture"],
        int(field["Size"]),
        field["SHA256"],
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while True:
            block = f.read(1 << 20)
            if not block:
                return digest.hexdigest()
            digest.update(block)
