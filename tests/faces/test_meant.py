# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was meant by a word or an option, and filters that name nothing."""

import argparse
from typing import Any, Optional

from drgn import Architecture, Object, Platform, Program
from drgn_veth.analysis.filters import NoDeviceError
from drgn_veth.analysis.netns_names import FilterError
from drgn_veth.analysis.shown import rules_like
from drgn_veth.faces import filtering, meant
from drgn_veth.faces.status import UsageError
import drgn_veth_start
import pytest

from tests.support.snapshots import BAD, HOST, device, pair


@pytest.fixture(autouse=True)
def called() -> None:
    drgn_veth_start.called("drgn-veth xdp")


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ("-j", {"--format"}, "here it is --format json"),
        ("-j", {"--netns"}, "for that, drgn-veth report --format json"),
        ("--format", {"--netns"}, "for that, drgn-veth report --format json"),
        ("-n", {"--netns"}, "here it is --netns NETNS"),
        ("-n", {"--kind"}, None),
        ("--in-flight", {"--netns"}, "for that, drgn-veth path --in-flight"),
        ("-S", {"--netns"}, "name the device, without an option"),
        ("--netns", {"--kind"}, "did you mean drgn-veth netns?"),
        ("-rps", {"--kind"}, "did you mean drgn-veth rps?"),
        ("--kin", {"-k", "--kind"}, "did you mean --kind?"),
        ("-kin", {"-k", "--kind"}, None),
        ("--col", {"--color", "--cold", "--cole"}, "did you mean --cole or --cold?"),
        ("--zzz", {"--kind"}, None),
    ],
)
def test_an_option_that_is_not_there(
    given: str, options: set[str], said: Optional[str]
) -> None:
    assert meant.advice(f"unrecognized arguments: {given}", options) == said


def test_another_error_of_options() -> None:
    assert meant.advice("argument --kind: expected one argument", {"--kind"}) is None


def _said_of(word: str, *names: str, **options: Any) -> str:
    devices = [device(HOST, i, name) for i, name in enumerate(names, 1)]
    with pytest.raises(UsageError) as raised:
        with meant.in_one_line(argparse.Namespace(**options)):
            raise NoDeviceError(f"no device is {word}", word, devices)
    return str(raised.value).partition("; ")[2]


def test_a_word_that_is_no_device() -> None:
    assert _said_of("native", "lo", mode=None) == "native is a mode: --mode native"
    said = "native is a mode: drgn-veth attach DEVICE --mode native"
    assert _said_of("native", "lo") == said
    assert _said_of("3", "lo", queue=None) == "for a queue: --queue 3"
    assert _said_of("3", "lo") == "available: lo"
    assert _said_of("veth3", "veth0", queue=None) == "nearest: veth0"
    assert _said_of("dev", "lo") == "name the device, without dev"
    assert _said_of("veth9", "veth0") == "nearest: veth0"


def test_a_word_that_is_nearly_a_subcommand() -> None:
    assert _said_of("paths", "lo") == "did you mean drgn-veth path?"
    assert _said_of("paths", "paths0", "lo") == "nearest: paths0"


def test_twelve_devices_are_listed() -> None:
    names = [f"veth{i}" for i in range(13)]
    there = ", ".join(sorted(names[:12]))
    assert _said_of("%%%", *names[:12]) == f"available: {there}"
    said = "none of 13 devices has a similar name: drgn-veth report --all lists them"
    assert _said_of("%%%", *names) == said


# Filters


def _wanted(**filters: Any) -> Any:
    plain: dict[str, Any] = dict.fromkeys(("devices", "kinds", "addresses"), [])
    args = argparse.Namespace(**plain, **filters)
    return filtering.wanted(Program(), pair(), args)


def test_processes_that_are_in_no_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    prog = Program(Platform(Architecture.X86_64))
    exiting = Object(prog, prog.int_type("unsigned long", 8, False), 0)

    def net_for_pid(_: object, pid: int) -> Object:
        if pid == 7:
            raise LookupError("no such task")
        return exiting

    monkeypatch.setattr(filtering, "net_for_pid", net_for_pid)
    with pytest.raises(UsageError, match="^pid 7: no such task$"):
        _wanted(netns=["pid:7"])
    with pytest.raises(UsageError, match="^pid 8: the task has exited and is in no"):
        _wanted(netns=["pid:8"])


def test_the_namespace_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is in the Snapshot, by its address; another one is not there."""
    prog = Program(Platform(Architecture.X86_64))
    whole = pair()
    inside = whole.namespaces[1]._replace(net=0xFFFF888000000077)
    whole = whole._replace(namespaces=(whole.namespaces[0], inside))
    args = argparse.Namespace(netns=["pid:1"], devices=[], kinds=[], addresses=[])
    for address in (0xFFFF888000000077, 0xFFFF888000000088):
        net = Object(prog, prog.int_type("unsigned long", 8, False), address)
        monkeypatch.setattr(filtering, "net_for_pid", lambda *_, net=net: net)
        if address == inside.net:
            assert filtering.wanted(prog, whole, args).netns == {inside.inum}
        else:
            with pytest.raises(UsageError, match="of pid 1 could not be read"):
                filtering.wanted(prog, whole, args)


def test_rules_that_are_asked_for() -> None:
    assert filtering.wanted_rules([]) is None
    both = filtering.wanted_rules(["mtu-*", "xdp-mode-conflict"])
    assert both == rules_like(["mtu-*"]) | {"xdp-mode-conflict"}
    with pytest.raises(UsageError, match="^--rule: .*; drgn-veth explain lists them$"):
        filtering.wanted_rules(["nosuch"])


def test_what_is_missing_is_said_of_what_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = pair({"mtu": BAD})
    filtering.warn_of_missing_in(whole, whole.devices[1:])
    assert capsys.readouterr().err == ""
    filtering.warn_of_missing_in(whole, whole.devices[:1])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f".mtu: {BAD.reason}") and "1 value could not be read" in line


def test_what_a_filter_does_not_find() -> None:
    with pytest.raises(UsageError, match="^no namespace$"):
        with meant.in_one_line(argparse.Namespace()):
            raise FilterError("no namespace")
