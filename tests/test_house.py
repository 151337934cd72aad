# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of the house that a program can check."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
import functools
from pathlib import Path
import re
from typing import Any, Callable

import drgn_veth
import pytest

from tests.support.scripts import REPOSITORY

PACKAGE = REPOSITORY / "helpers" / "drgn_veth"
SOURCES = sorted(
    path
    for folder in ("helpers", "drgn_scripts", "tests", "vmcores/lab")
    for path in (REPOSITORY / folder).rglob("*")
    if path.suffix in (".py", ".sh")
)
parse = functools.cache(ast.parse)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def each(paths: Iterable[Path]) -> Callable[[Callable[[Path], None]], Any]:
    """Make one test of a check of many files; it names all that fail."""

    def decorate(check: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            wrong = {}
            for path in paths:
                try:
                    check(path)
                except (AssertionError, LookupError, ValueError) as e:
                    wrong[name(path)] = str(e)
            assert not wrong

        test.__doc__ = check.__doc__
        return test

    return decorate


def imports(source: str, names: bool = False) -> Iterator[str]:
    """
    Yield the modules that a module imports, as it names them: ".name", "..name".

    :param names: Also what it imports from modules, which may be modules
    """
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            if node.module:
                yield f"{dots}{node.module}"
            if names or not node.module:
                start = f"{dots}{node.module}." if node.module else dots
                yield from (f"{start}{alias.name}" for alias in node.names)


def full_names(
    source: str, package: tuple[str, ...], names: bool = False
) -> Iterator[tuple[str, ...]]:
    """Yield the full names of what a module of a package imports."""
    for name in imports(source, names):
        dots = len(name) - len(name.lstrip("."))
        start = package[: len(package) + 1 - dots] if dots else ()
        yield (*start, *filter(None, name[dots:].split(".")))


TESTS = [path for path in SOURCES if name(path).startswith("tests/")]
SHARED = ("tests", "support")
# A look that is quicker than to parse: most import nothing like it.
LIKE_A_TEST = re.compile(r"^\s*(?:from \.|(?:from|import) tests(?!\.support\.))", re.M)


def other_tests(source: str, package: tuple[str, ...]) -> list[str]:
    """Return what a module of a package imports of the tests, but for support."""
    if not LIKE_A_TEST.search(source):
        return []
    return [
        ".".join(name)
        for name in full_names(source, package)
        if name[0] == "tests" and name[:2] != SHARED
    ]


@each(TESTS)
def test_tests_share_through_support(path: Path) -> None:
    """No test imports another, and what they share imports no test."""
    package = path.relative_to(REPOSITORY).parts[:-1]
    assert not other_tests(path.read_text(), package)


@pytest.mark.parametrize(
    "line, found",
    [
        ("from tests.faces.test_start import started", ["tests.faces.test_start"]),
        ("import tests.faces.test_start", ["tests.faces.test_start"]),
        ("from tests import faces", ["tests"]),
        ("from .test_start import started", ["tests.faces.test_start"]),
        ("from . import test_start", ["tests.faces.test_start"]),
        ("from ..vm import test_readers", ["tests.vm"]),
        ("from ..support.scripts import started", []),
        ("from tests.support.scripts import started", []),
        ("import testsuite.x", []),
    ],
)
def test_a_test_that_imports_another_is_found(line: str, found: Sequence[str]) -> None:
    assert other_tests(line, ("tests", "faces")) == found


def test_there_are_sources() -> None:
    assert len(SOURCES) > 30


@each(SOURCES)
def test_license_line(path: Path) -> None:
    start = path.read_text().splitlines()[:2]
    assert "# SPDX-License-Identifier: LGPL-2.1-or-later" in start


@each(MODULES)
def test_module_says_what_it_exports(path: Path) -> None:
    tree = parse(path.read_text())
    assert ast.get_docstring(tree)
    exported: set[str] = set()
    defined: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets = [t.id for t in node.targets if isinstance(t, ast.Name)]
            if "__all__" in targets:
                exported = set(ast.literal_eval(node.value))
            defined.update(targets)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            defined.add(node.name)
            if not node.name.startswith("_"):
                assert ast.get_docstring(node) or not isinstance(
                    node, ast.FunctionDef
                ), node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.add(node.target.id)
    assert exported, "no __all__"
    public = {n for n in defined if not n.startswith("_") and n not in ("T",)}
    if path.name != "__init__.py":
        assert exported <= defined
        unexported = {
            n for n in public - exported if not n.isupper() and not n[0].isupper()
        }
        assert not unexported


@each(MODULES)
def test_no_release_is_compared(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"osrelease|LINUX_VERSION|UTS_RELEASE.*[<>]", text)


# Which rooms a room may import from. A file beside the rooms is a room of its own.
# kernel memory -> readers -> snapshot -> analysis -> render -> faces
ROOMS: Mapping[str, Sequence[str]] = {
    "core": (),
    "dump": (),
    "model": ("core",),
    "readers": ("core",),
    "disasm": ("core", "model", "readers"),
    "btf": ("core", "dump", "readers"),
    "snapshot": ("core", "disasm", "dump", "model", "readers"),
    "analysis": ("core", "model"),
    "render": ("analysis", "core", "model"),
    "fleet": ("analysis", "core", "model", "render"),
    "faces": (
        *("analysis", "btf", "core", "dump", "fleet", "model", "readers", "render"),
        *("snapshot", "drgn_veth_start"),
    ),
    "__main__": ("drgn_veth_start",),
    # The public names.
    "__init__": (
        *("analysis", "core", "disasm", "model", "readers", "snapshot"),
        "drgn_veth_start",
    ),
}
#: What is made of a Snapshot never touches a kernel.
PURE = {"analysis", "fleet", "model", "render"}
#: Others that do not know drgn, in rooms that do.
PURE_FILES = {
    *("core.containers", "core.driver_counters", "core.english", "core.messages"),
    "core.module_types",
    *("core.nearest", "core.netdev_features", "core.skbuff", "core.text", "core.uapi"),
    *("core.unreadable", "core.version", "core.xdp_modes", "dump.elfcore"),
    *("dump.file_kind", "dump.kdump"),
}
#: What must not be imported within a room: remedies <- attach <- rules <- diagnose.
INSIDE: Mapping[str, Sequence[str]] = {
    "analysis.attach": ("analysis.diagnose", "analysis.rules"),
    "analysis.rules": ("analysis.diagnose",),
    **dict.fromkeys(
        (
            f"analysis.{name}"
            for name in ("commands", "names", "need", "remedies", "shell")
        ),
        ("analysis.attach", "analysis.diagnose", "analysis.rules"),
    ),
}
OURS = {"drgn_veth", "drgn_veth_start"}


def place(path: Path) -> tuple[str, ...]:
    """Return the dotted name of a module within the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a module imports, as full names."""
    package = ("drgn_veth", *path.relative_to(PACKAGE).parts[:-1])
    yield from full_names(path.read_text(), package, names=True)


def room_of(name: tuple[str, ...]) -> str:
    """Return the room of a module of ours, given its full name."""
    if name[0] == "drgn_veth_start":
        return name[0]
    return name[1] if name[1:] and name[1] in ROOMS else "__init__"


@functools.cache
def knows_drgn(path: Path) -> bool:
    """Return whether a module imports drgn, itself or through others of ours."""
    for name in imported(path):
        if name[0] in ("drgn", "_drgn"):
            return True
        if name[0] != "drgn_veth":
            continue
        target = PACKAGE.joinpath(*name[1:])
        file = target.with_suffix(".py") if name[1:] else target / "__init__.py"
        package = target / "__init__.py"
        if any(f.exists() and knows_drgn(f) for f in (file, package)):
            return True
    return False


def is_in(name: str, place: str) -> bool:
    """Return whether a dotted name is a place or below it."""
    return f"{name}.".startswith(f"{place}.")


def test_there_are_rooms() -> None:
    assert {place(path)[0] for path in MODULES} == set(ROOMS)


FOLDERS = sorted({path.parent for path in MODULES} - {PACKAGE})


@each(FOLDERS)
def test_a_room_lists_its_modules(folder: Path) -> None:
    """A room that only holds modules says which."""
    tree = ast.parse((folder / "__init__.py").read_text())
    if any(isinstance(node, ast.ImportFrom) for node in tree.body):
        return
    (listed,) = (n.value for n in tree.body if isinstance(n, ast.Assign))
    inside = {
        p.parent.name if p.stem == "__init__" else p.stem
        for p in MODULES
        if p.parent == folder or p.parent.parent == folder and p.stem == "__init__"
    }
    assert set(ast.literal_eval(listed)) == inside - {folder.name}


@each(MODULES)
def test_imports_point_one_way(path: Path) -> None:
    room = place(path)[0]
    allowed = {room, *ROOMS[room]}
    ours = [name for name in imported(path) if name[0] in OURS]
    wrong = [".".join(name) for name in ours if room_of(name) not in allowed]
    assert not wrong
    dotted = ".".join(place(path))
    if room in PURE or dotted in PURE_FILES:
        assert not knows_drgn(path)
    for inside, barred in INSIDE.items():
        if is_in(dotted, inside):
            there = [".".join(name[1:]) for name in ours]
            assert not [name for name in there if any(is_in(name, b) for b in barred)]


def test_exceptions_are_there() -> None:
    """What the guard names by hand exists."""
    modules = {".".join(place(path)) for path in MODULES}
    assert modules >= PURE_FILES | set(INSIDE)


def test_rooms_form_no_circle() -> None:
    done: set[str] = {"drgn_veth_start"}
    while len(done) <= len(ROOMS):
        ready = {r for r, may in ROOMS.items() if r not in done and done >= set(may)}
        assert ready, set(ROOMS) - done
        done |= ready


def test_star_import_gives_the_readers() -> None:
    assert {"veth_peer", "netdev_xdp_prog", "netdev_rps_map", "take_snapshot"} <= set(
        drgn_veth.__all__
    )
    for exported in drgn_veth.__all__:
        assert hasattr(drgn_veth, exported)
    assert sorted(drgn_veth.__all__) == list(drgn_veth.__all__)


def test_changelog_has_this_version() -> None:
    assert f"## {drgn_veth.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()
