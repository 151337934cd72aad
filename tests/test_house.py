# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of the house that a program can check."""

import ast
from pathlib import Path
import re
from typing import Iterator, Set, Tuple

import drgn_veth
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "helpers" / "drgn_veth"
SOURCES = sorted(
    path
    for folder in ("helpers", "drgn_scripts", "tests", "vmcores/lab")
    for path in (REPOSITORY / folder).rglob("*")
    if path.suffix in (".py", ".sh")
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a module imports, as it names them: ".name", "..name"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            if node.module:
                yield f"{dots}{node.module}"
            else:
                yield from (f"{dots}{alias.name}" for alias in node.names)


def test_there_are_sources() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_license_line(path: Path) -> None:
    start = path.read_text().splitlines()[:2]
    assert "# SPDX-License-Identifier: LGPL-2.1-or-later" in start


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_says_what_it_exports(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    exported: Set[str] = set()
    defined: Set[str] = set()
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


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_release_is_compared(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"osrelease|LINUX_VERSION|UTS_RELEASE.*[<>]", text)


# Which rooms must not know which: kernel memory -> readers -> Snapshot -> analysis
# -> renderers.
PURE = ("model", "filters", "kdump", "text", "ranges")
READERS = r"snapshot|records|discovery|net\w+|veth|xdp|rps|xps|queues|bpf|cpus|walk"
FORBIDDEN: Tuple[Tuple[str, str], ...] = (
    (
        r"render/",
        r"drgn($|\.)|\.\.?(snapshot|netdev|netns|veth|xdp|rps|xps|cli|opening)$",
    ),
    (
        r"(attach\w*|diagnose|fixes)\.py",
        rf"drgn($|\.)|^\.({READERS}|render|cli|opening)($|\.)",
    ),
    (r"(attach\w*|predictor|fixes)\.py", r"^\.(rules|diagnose)($|\.)"),
    (r"rules/", rf"drgn($|\.)|^\.\.({READERS}|diagnose|render|cli|opening)($|\.)"),
    (rf"({'|'.join(PURE)})\.py", r"drgn($|\.)|^\.(snapshot|netdev|veth|xdp|cli)"),
    (
        r"(net\w+|veth|xdp|rps|xps|bpf|queues|peer|cpus|walk|layout)\.py",
        r"^\.(snapshot|render|filters|cli|opening|btf)",
    ),
    (r"snapshot\.py", r"^\.(render|filters|cli|btf)"),
)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_point_one_way(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    for where, what in FORBIDDEN:
        if re.match(where, place):
            wrong = [module for module in imports(path) if re.search(what, module)]
            assert not wrong


def test_star_import_gives_the_readers() -> None:
    assert {"veth_peer", "netdev_xdp_prog", "netdev_rps_map", "take_snapshot"} <= set(
        drgn_veth.__all__
    )
    for exported in drgn_veth.__all__:
        assert hasattr(drgn_veth, exported)
    assert sorted(drgn_veth.__all__) == list(drgn_veth.__all__)


def test_changelog_has_this_version() -> None:
    assert f"## {drgn_veth.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()
