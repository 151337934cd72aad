# SPDX-License-Identifier: LGPL-2.1-or-later
"""The code that --drgn prints: what it filters, what it leaves out."""

import argparse
import ast
from collections.abc import Iterator
import contextlib
from typing import Any

import drgn
from drgn import Program
from drgn.commands import CommandArgumentError
from drgn_veth.analysis.attach.predictor import MODES
from drgn_veth.faces import opening
from drgn_veth.faces.prompt import command
from drgn_veth.faces.status import TRACEBACK, TargetError
import pytest

from tests.support.snapshots import HOST, POD, pair


@pytest.fixture(autouse=True)
def target(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pair is all that there is."""
    monkeypatch.setattr(opening, "open_target", lambda prog, _: prog)
    monkeypatch.setattr(opening, "take", lambda *_, **__: pair())


@pytest.fixture
def prog() -> Program:
    return Program()


@pytest.fixture
def code_of(prog: Program, capsys: pytest.CaptureFixture[str]) -> Any:
    def code_of(name: str, *words: str) -> str:
        assert command(name).run(prog, name, [*words, "--drgn"]) is None
        text = capsys.readouterr().out
        ast.parse(text)
        return text

    return code_of


@pytest.mark.parametrize("name", ["veth", "xdp", "rps", "drops", "path"])
def test_filters(name: str, code_of: Any) -> None:
    """Each is there if it is asked for, and imports what it needs."""
    signs = {
        "net_inum(net) not in": ("--netns", "pod1"),
        "names.append": ("eth0",),
        "netdev_kind(dev).decode()\n        if": ("--kind", "veth"),
        "alone.isdisjoint": ("--address", "10.0.0.1"),
    }
    plain = code_of(name)
    assert not [sign for sign in signs if sign in plain]
    assert "fnmatch" not in plain
    for sign, words in signs.items():
        text = code_of(name, *words)
        assert [one for one in signs if one in text] == [sign]
        assert ("import fnmatchcase" in text) == ("fnmatchcase(" in text)
    assert f"not in ({POD},):" in code_of(name, "--netns", "pod1")
    both = code_of(name, "--netns", "pod1", "--netns", "host")
    assert f"not in ({HOST}, {POD}):" in both


def test_code_of_devices_without_a_peer(code_of: Any) -> None:
    assert "if not netdev_peer(dev):" in code_of("veth")
    assert "if not netdev_peer(dev):" not in code_of("veth", "--all")


def test_code_of_namespaces(code_of: Any) -> None:
    assert "not in" not in code_of("netns")
    assert f"not in ({HOST},):" in code_of("netns", "host")
    assert f"not in ({POD},):" in code_of("netns", "--netns", "pod1")


def test_code_of_attaches(code_of: Any) -> None:
    """Without a filter, devices that have a program; else those that match."""
    text = code_of("xdp")
    assert "by_bond = {" in text and "not in by_bond" in text
    assert f"for mode in {MODES}:" in text
    assert "frags=False" in text
    for words in (
        ("eth0",),
        ("--netns", "pod1"),
        ("--kind", "veth"),
        ("--address", "::1"),
    ):
        assert "by_bond" not in code_of("xdp", *words)
    text = code_of("xdp", "--mode", "native", "--frags")
    assert "for mode in ('driver',)" in text and "frags=True" in text


def test_code_of_paths(code_of: Any) -> None:
    text = code_of("path", "eth0")
    assert "trace(snapshot, devices[dev.value_()], None, None, False)" in text
    text = code_of("path", "eth0", "--queue", "1", "--cpu", "2", "--follow")
    assert "trace(snapshot, devices[dev.value_()], 1, 2, True)" in text


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("veth", ["--tree"], "the code of %veth has no findings and no tree"),
        ("veth", ["--check"], "the code of %veth has no findings and no tree"),
        ("netns", ["--kind", "veth"], "the code of %netns has no filters for devices"),
        ("netns", ["--address", "::1"], "the code of %netns has no filters"),
        ("netns", ["--devices"], "the code of %netns has no --devices; %veth has th"),
        ("path", ["--in-flight"], "the code of %path does not show what is in flight"),
    ],
)
def test_what_has_no_code(
    name: str, words: list[str], said: str, prog: Program
) -> None:
    with pytest.raises(CommandArgumentError, match=f"^%{name}: --drgn: {said}"):
        command(name).run(prog, name, [*words, "--drgn"])


def test_an_error_that_nobody_expected(
    prog: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, unless a traceback is asked for."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh\x1b")

    monkeypatch.setattr(opening, "take", fail)
    monkeypatch.delenv(TRACEBACK, raising=False)
    with pytest.raises(
        TargetError, match="^internal error: ZeroDivisionError: oh.x1b;"
    ):
        command("veth").run(prog, "veth", [])
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(ZeroDivisionError):
        command("veth").run(prog, "veth", [])


def test_how_a_command_is_called(prog: Program) -> None:
    """As drgn's %help asks; and what was meant, or where all options are."""
    xdp = command("xdp")
    assert xdp.format_usage().startswith("%xdp [")
    text = xdp.format_help(indent="    ")
    assert "usage:" not in text and text.startswith("    ")
    for word, said in (
        ("-n", "%xdp: unrecognized arguments: -n; here it is --netns NETNS"),
        ("--zzz", "%xdp: unrecognized arguments: --zzz; see -h"),
        ("--tree", "%xdp: unrecognized arguments: --tree; for that, %veth --tree"),
    ):
        with pytest.raises(CommandArgumentError) as raised:
            xdp.run(prog, "xdp", [word])
        assert str(raised.value) == said


def test_words_of_a_prompt(
    prog: Program, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """drgn 0.0.33 gives them as they were typed, later ones as a list."""

    @contextlib.contextmanager
    def parsed(source: str) -> Iterator[Any]:
        yield argparse.Namespace(args=source.split())

    monkeypatch.setattr(drgn.commands, "_shell_command", parsed, raising=False)
    veth = command("veth")
    for words in (["--help"], "--help"):
        assert veth.run(prog, "veth", words) is None
        assert capsys.readouterr().out.startswith("usage: %veth ")
