# SPDX-License-Identifier: LGPL-2.1-or-later
"""Errors that opening a target reports; no target is opened here."""

import argparse
import logging
from pathlib import Path
import types
from typing import Any, Optional

from drgn import Architecture, Platform, Program, ProgramFlags
from drgn_veth.faces import damage, kept, opening, symbols
from drgn_veth.faces.status import TargetError, UsageError
import pytest

pytestmark = pytest.mark.usefixtures("drgn_log_level")


def _options(**given: Any) -> argparse.Namespace:
    options: dict[str, Any] = dict.fromkeys(("core", "qemu", "vmcoreinfo"))
    return argparse.Namespace(**{**options, "symbols": [], **given})


def _program(**members: Any) -> Any:
    # What is asked of a program, and no more.
    plain: dict[str, Any] = {"cache": {}, "core_dump_path": None, "platform": None}
    return types.SimpleNamespace(**{"flags": ProgramFlags(0), **plain, **members})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (_options(qemu="/run/qmp"), "/run/qmp: it says no"),
        (_options(), "the running kernel: it says no; the running kernel needs root"),
    ],
    ids=["qemu", "live"],
)
def test_what_drgn_says(
    options: argparse.Namespace, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint to use root appears only without rights to the running kernel."""

    def refuse(*_: object) -> None:
        raise ValueError("it says no")

    monkeypatch.setattr(opening, "_set_target", refuse)
    monkeypatch.setattr(opening, "why_no_kcore", lambda: None)
    with pytest.raises(TargetError) as raised:
        opening.open_target(None, options)
    assert str(raised.value).startswith(said)
    assert ("root" in str(raised.value)) == ("root" in said)


@pytest.mark.parametrize("why", ["a container hides it", None])
@pytest.mark.parametrize("error", [ValueError("no"), PermissionError(1, "no")])
def test_why_the_running_kernel_cannot_be_read(
    error: Exception, why: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(opening, "_set_target", refuse)
    monkeypatch.setattr(opening, "why_no_kcore", lambda: why)
    with pytest.raises(TargetError) as raised:
        opening.open_target(None, _options())
    advice = why or opening._NEEDS_ROOT
    assert str(raised.value) == f"the running kernel: no; {advice}"
    with pytest.raises(TargetError, match="^/run/qmp: no$"):
        opening.open_target(None, _options(qemu="/run/qmp"))


def test_the_rest_of_a_cut_dump_needs_a_newer_drgn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "without_memory_from", lambda *_: None)
    monkeypatch.setattr(opening, "what_is_wrong_with", lambda _: "vmcore: it is cut")
    with pytest.raises(TargetError, match="^vmcore: it is cut; drgn 0.1 or later can"):
        opening._up_to(_program(), 1 << 20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"OSRELEASE=6.1.0\n", "expected the text of VMCOREINFO, with OSRELEASE="),
        (b"hello", "expected the text of VMCOREINFO"),
        (None, "No such file"),
    ],
)
def test_no_vmcoreinfo(text: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "vmcoreinfo"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(UsageError) as raised:
        opening.open_target(None, _options(core=str(path), vmcoreinfo=str(path)))
    assert str(raised.value).startswith(f"--vmcoreinfo {path}: {said}")


def test_drgn_has_opened_the_target() -> None:
    for given in (
        {"core": "x"},
        {"qemu": "x"},
        {"symbols": ["x"]},
        {"vmcoreinfo": "x"},
    ):
        with pytest.raises(UsageError, match="drgn has already opened the target"):
            opening.open_target(Program(), _options(**given))


# What is wrong


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (
            "Cannot get KDUMP_ATTR_ARCH_NAME",
            "libkdumpfile does not recognize its machine (drgn: Cannot get KDUMP_ATTR",
        ),
        ("Cannot be mapped", "Cannot be mapped; expected a complete kernel crash dump"),
        ("no VMCOREINFO note", "it has no VMCOREINFO, which drgn needs"),
    ],
)
def test_why_a_file_is_not_opened(said: str, known: str, tmp_path: Path) -> None:
    assert damage.why_not_opened(str(tmp_path), said).startswith(known)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (ProgramFlags.IS_LIVE, "the guest has no VMCOREINFO"),
        (ProgramFlags.IS_LIVE | ProgramFlags.IS_LOCAL, "this is not a Linux kernel"),
        (ProgramFlags(0), "this is not a Linux kernel but a user process"),
    ],
)
def test_what_is_no_kernel(flags: ProgramFlags, said: str) -> None:
    with pytest.raises(TargetError, match=f"^{said}"):
        damage.check_kernel(_program(flags=flags))
    damage.check_kernel(_program(flags=flags | ProgramFlags.IS_LINUX_KERNEL))


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (
            "net: could not read memory from kdump: Uncompress failed; or give -s",
            "/nosuch: libkdumpfile cannot decompress its pages (Uncompress failed)",
        ),
        (
            "net: could not read memory from kdump: Excluded page; or give -s",
            "net: could not read memory from kdump: Excluded page; or give -s",
        ),
        ("compressed, but nothing of a kdump", "compressed, but nothing of a kdump"),
    ],
)
def test_pages_that_cannot_be_unpacked(why: str, said: str) -> None:
    """Other symbols would not help."""
    error = damage.unread(_program(core_dump_path="/nosuch"), why)
    assert str(error).startswith(said)


def test_a_machine_that_drgn_does_not_translate() -> None:
    said = str(damage.unread(Program(Platform(Architecture.RISCV64)), "no types"))
    assert "does not translate kernel addresses of this machine (RISCV64)" in said
    assert str(damage.unread(Program(Platform(Architecture.X86_64)), "no")) == "no"
    assert str(damage.unread(Program(), "no types")) == "no types"


# Debug symbols


def _loading(*messages: str) -> Any:
    def load(paths: object, main: bool) -> None:
        for message in messages:
            logging.getLogger("drgn").warning("%s", message)

    return _program(load_debug_info=load)


def test_only_files_that_are_ignored_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """drgn says more, of these files and of others."""
    prog = _loading(
        "a.ko: it is a little old",
        "other.ko: no ELF file; ignoring",
        "provided file b.ko did not match; ignoring",
    )
    symbols.load_symbols(prog, ["a.ko", "b.ko"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "-s b.ko: drgn ignored it: did not match; expected the vmlinux" in line


def test_symbols_that_cannot_be_loaded() -> None:
    def load(paths: object, main: bool) -> None:
        raise ValueError("broken")

    with pytest.raises(UsageError, match="^cannot load debug symbols: broken$"):
        symbols.load_symbols(_program(load_debug_info=load), ["a.ko"])


# A Snapshot that is kept


class _Kept:
    # A program whose Snapshots are numbers.
    def __init__(self, **flags: ProgramFlags) -> None:
        self.files: list[Optional[str]] = [None]
        self.taken: list[bool] = []
        self.prog = _program(
            **flags,
            enabled_type_finders=lambda: ["btf"],
            modules=lambda: [
                types.SimpleNamespace(debug_file_path=path) for path in self.files
            ],
        )

    def get(self, traffic: bool = False) -> Any:
        def take(prog: Any, traffic: bool) -> Any:
            self.taken.append(traffic)
            return len(self.taken)

        return kept.kept_or_taken(self.prog, take, traffic)


def test_a_dump_is_read_again_for_its_traffic() -> None:
    one = _Kept()
    kept.keep_snapshots(one.prog)
    assert [one.get() for _ in range(3)] == [1, 1, 1]
    assert [one.get(True), one.get(True), one.get()] == [2, 2, 2]
    assert one.taken == [False, True]
    # With more symbols, more may be readable.
    one.files = ["vmlinux"]
    assert [one.get(), one.get()] == [3, 3]
    # A module without symbols adds nothing.
    one.files.append(None)
    assert one.get() == 3


def test_what_is_not_kept() -> None:
    """A running kernel changes, and a script reads once."""
    live, script = _Kept(flags=ProgramFlags.IS_LIVE), _Kept()
    kept.keep_snapshots(live.prog)
    for one in (live, script):
        assert [one.get(), one.get(), one.get(True)] == [1, 2, 3]
