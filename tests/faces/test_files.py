# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files as arguments, and the line that helps for a file that is no dump."""

import argparse
import bz2
import gzip
import lzma
import os
from pathlib import Path
import struct
import sys

from drgn_veth.dump.elfcore import EM, Note, write_core
from drgn_veth.dump.file_kind import Kind, kind_of
from drgn_veth.faces import files, kcore, vmcore_slice
from drgn_veth.faces.status import UsageError
import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import SCRIPT, one_line, python, run, user_core
from tests.support.slow import slow_but


@pytest.fixture(scope="module")
def core() -> Path:
    return smallest_core().core


def elf(path: Path, type: int, sections: list[str]) -> Path:
    """Write an ELF file that has nothing but names of sections."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections)
    table = 64 + len(names)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(b"\x7fELF\x02\x01\x01", type, 62, 1, 0, 0, table, 0, 64, 0, 0),
        *(64, len(sections) + 1, len(sections)),
    )
    entries = [bytes(64)]
    at = 1
    for name in sections:
        size = (64, len(names)) if name == ".shstrtab" else (0, 0)
        entries.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, *size, 0, 0, 1, 0))
        at += len(name) + 1
    path.write_bytes(header + names + b"".join(entries))
    return path


def vmlinux(path: Path, type: int = 2) -> Path:
    return elf(path, type, [".text", "__param", ".init.text", ".shstrtab"])


def module(path: Path) -> Path:
    return elf(path, 1, [".text", ".modinfo", ".shstrtab"])


# What files are


@pytest.mark.parametrize("type", [2, 3], ids=["x86", "relocatable"])
def test_vmlinux(tmp_path: Path, type: int) -> None:
    assert kind_of(str(vmlinux(tmp_path / "x", type))).kind is Kind.VMLINUX


def test_module(tmp_path: Path) -> None:
    assert kind_of(str(module(tmp_path / "x"))).kind is Kind.MODULE


def test_dumps(core: Path, tmp_path: Path) -> None:
    assert kind_of(str(core)) == (Kind.DUMP, "an ELF dump", None)
    for start in (b"KDUMP   ", b"DISKDUMP", b"makedumpfile\0"):
        path = tmp_path / "x"
        path.write_bytes(start.ljust(8192, b"\0"))
        assert kind_of(str(path)).kind is Kind.DUMP
    user_core(path)
    assert kind_of(str(path)) == (Kind.DUMP, "an ELF core", None)


@pytest.mark.parametrize("size", [5, 6, 20, 63, 64, 90, 150])
def test_elf_that_ends_early(tmp_path: Path, size: int) -> None:
    path = vmlinux(tmp_path / "x")
    path.write_bytes(path.read_bytes()[:size])
    assert kind_of(str(path)).kind in (Kind.DUMP, Kind.OTHER)


def test_elf_with_wild_sections(tmp_path: Path) -> None:
    """Offsets, counts and indexes beyond the file."""
    path = vmlinux(tmp_path / "x")
    good = path.read_bytes()
    for at, form in ((40, "<Q"), (58, "<H"), (60, "<H"), (62, "<H")):
        for value in (0, 1, 0xFF, 0xFFFF):
            data = bytearray(good)
            struct.pack_into(form, data, at, value)
            path.write_bytes(data)
            kind_of(str(path))
    data = bytearray(good)
    data[-40:-24] = b"\xff" * 16  # offset and size of the names
    path.write_bytes(data)
    assert kind_of(str(path)).kind is Kind.OTHER


def test_no_file(tmp_path: Path) -> None:
    assert kind_of(str(tmp_path)).what == "a folder"
    assert kind_of("/dev/null").what == "not a file"
    with pytest.raises(FileNotFoundError):
        kind_of(str(tmp_path / "x"))


# Given as -c, they are said to be what they are

FOREIGN = {
    "libvirt": (b"LibvirtQemudSave\x02\0\0\0", "virsh dump --memory-only"),
    "qemu": (b"QEVM\0\0\0\x03", "-incoming 'exec:cat FILE'"),
    "vmware": (b"\xd2\xbe\xd2\xbe\x08\0\0\0", "vmss2core -N6"),
    "lime": (b"EMiL\x01\0\0\0", "let kdump or makedumpfile write a dump; drgn cannot"),
    "avml": (b"AVML\x02\0\0\0", "a memory image of AVML"),
    "windows": (b"PAGEDU64\x0f\0\0\0", "without -w"),
    "virtualbox": (b"\x7fVirtualBox SavedState V2.0\n", "VBoxManage debugvm"),
    "s390": (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd\0\0\0\5", "zgetdump -f elf"),
    "qcow2": (b"QFI\xfb\0\0\0\3", "it has no memory"),
    "bzimage": (bytes(0x202) + b"HdrS" + bytes(99), "a kernel image (vmlinuz)"),
    "arm image": (bytes(56) + b"ARM\x64" + bytes(99), "a kernel image (vmlinuz)"),
    "tar": (b"vmcore".ljust(257, b"\0") + b"ustar\0" + bytes(99), "tar -xf"),
    "deb": (b"!<arch>\ndebian-binary", "a Debian package"),
    "rpm": (b"\xed\xab\xee\xdb\3\0", "an RPM package"),
    "text": (b"[    0.000000] Linux version 6.1\n", "this is a text file"),
    "empty": (b"", "an empty file"),
    "raw": (bytes(1 << 20), "drgn needs an ELF or kdump file: "),
    "gz": (gzip.compress(b"x"), "gzip -d it first"),
    "bz2": (bz2.compress(b"x"), "bzip2 -d it first"),
    "xz": (lzma.compress(b"x"), "xz -d it first"),
    "zst": (b"\x28\xb5\x2f\xfd" + bytes(60), "zstd -d it first"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(60), "lz4 -d it first"),
    "lzo": (b"\x89LZO\0\r\n\x1a\n" + bytes(60), "lzop -d it first"),
}


@pytest.mark.parametrize("what", slow_but([*FOREIGN][:6], FOREIGN))
def test_file_that_is_no_dump(tmp_path: Path, what: str) -> None:
    """Its name says nothing."""
    content, said = FOREIGN[what]
    path = tmp_path / "vmcore"
    path.write_bytes(content)
    for words in (("-c", path), (path,)):
        done = run(*words)
        one_line(done, 3, said.replace("FILE", str(path)))
        assert f"{path}: " in done.stderr
        assert "System.map" not in done.stderr


def test_symbols_as_core(tmp_path: Path) -> None:
    path = vmlinux(tmp_path / "vmcore")
    one_line(run("-c", path), 3, f"this is a vmlinux, not a dump: -s {path} -c VMCORE")
    module(path)
    one_line(run("-c", path), 3, "this is a kernel module, not a dump")


# As arguments


def options(*words: object, **given: object) -> argparse.Namespace:
    args = argparse.Namespace(core=None, qemu=None, symbols=[], names=[], files=[])
    vars(args).update(given, files=[str(word) for word in words])
    files.take_files(args)
    return args


def test_files_in_any_order(core: Path, tmp_path: Path) -> None:
    kernel, veth = vmlinux(tmp_path / "a"), module(tmp_path / "b")
    for words in ([kernel, core, veth], [core, kernel, veth], [veth, "lo", core]):
        args = options(*words)
        assert args.core == str(core)
        assert args.symbols == [str(w) for w in words if w not in (core, "lo")]
        assert args.names == [w for w in words if w == "lo"]


def test_words_to_explain(core: Path) -> None:
    args = argparse.Namespace(core=None, qemu=None, symbols=[], files=[])
    args.what = ["rx/tx", "queues", str(core)]
    files.take_files(args)
    assert (args.what, args.core) == (["rx/tx", "queues"], str(core))


def test_vmlinux_alone_is_for_the_running_kernel(tmp_path: Path) -> None:
    path = vmlinux(tmp_path / "a")
    args = options(path)
    assert (args.core, args.symbols) == (None, [str(path)])


def test_symbols_for_a_target_of_options(core: Path, tmp_path: Path) -> None:
    path = vmlinux(tmp_path / "a")
    assert options(path, core="x").symbols == [str(path)]
    assert options(path, qemu="x").symbols == [str(path)]
    for given in ({"core": "x"}, {"qemu": "x"}):
        with pytest.raises(UsageError, match="give one target"):
            options(core, **given)


def test_words_that_are_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert options("lo", "veth*").names == ["lo", "veth*"]
    assert options("lo", "folder", core="x").names == ["lo", "folder"]
    assert options("file").core == "file"
    assert options("./nosuch").core == "./nosuch"


def test_a_folder_is_not_taken_for_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "lo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert options("lo").names == ["lo"]  # It is a device.
    for given in ("folder", "."):
        with pytest.raises(UsageError, match=f"^{given} is a directory; name a dump"):
            options(given)
    one_line(run("./folder", cwd=tmp_path), 3, "./folder is a directory; name a dump")


def test_a_dump_that_is_misspelt_is_not_taken_for_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.vmcore").write_bytes(b"KDUMP   ")
    (tmp_path / "veth1").write_text("no dump")
    monkeypatch.chdir(tmp_path)
    mean = r"b.vmcor: no such file; did you mean b.vmcore\?"
    for given in (("b.vmcor",), ("veth_xxx0", "b.vmcor")):
        with pytest.raises(UsageError, match=mean):
            options(*given)
    assert options("veth0", "b").names == ["veth0", "b"]
    assert options("b.vmcor", core="b.vmcore").names == ["b.vmcor"]
    done = run("./b.vmcor", cwd=tmp_path)
    one_line(done, 3, "./b.vmcor: No such file or directory; did you mean ./b.vmcore?")


def test_a_packed_dump_is_no_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a report; what nobody can read is one, and the file beneath it."""
    monkeypatch.chdir(tmp_path)
    Path("x.core.xz").write_bytes(lzma.compress(b"x"))
    Path("a.json").write_text("{}")
    Path("pod1").touch()
    assert options("x.core.xz", paths_are_names=True).core == "x.core.xz"
    assert options("a.json", paths_are_names=True).core == "a.json"
    for name in ("pod1", "/proc/self/ns/net", "nosuch"):
        assert options(name, paths_are_names=True).names == [name]


def test_a_report_is_no_dump(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"schema": "drgn-veth/1"')
    one_line(run(path), 3, "a JSON file; drgn-veth compare reads JSON reports")


def test_two_files_of_which_neither_is_a_core(tmp_path: Path) -> None:
    kernel = vmlinux(tmp_path / "a")
    text = tmp_path / "b"
    text.write_text("BUILD-ID")
    done = run(kernel, text)
    one_line(done, 2, f"{kernel} is a vmlinux, {text} is a text file")
    one_line(run(kernel, f"{text}x"), 2, f"{text}x is not there")
    raw = tmp_path / "c"
    raw.write_bytes(b"EMiL")
    one_line(run(kernel, raw), 2, "let kdump or makedumpfile write a dump")
    one_line(run(kernel, kernel), 2, "expected a dump and its vmlinux")


def test_two_dumps(core: Path) -> None:
    one_line(run(core, core), 2, f"give one dump, not 2: {core} {core}")


@pytest.mark.slow
def test_report_of_an_argument(core: Path) -> None:
    plain = run("-c", core)
    assert (plain.returncode, plain.stderr) == (0, run(core).stderr)
    assert run(core).stdout == plain.stdout


def test_the_last_word_is_the_slice(core: Path, tmp_path: Path) -> None:
    """It may be a core: that which --force replaces."""
    args = vmcore_slice._arguments([str(core), "--force", str(core)])
    assert (args.core, args.slice) == (str(core), str(core))
    args = vmcore_slice._arguments([str(tmp_path / "new")])
    assert (args.core, args.slice) == (None, str(tmp_path / "new"))
    args = vmcore_slice._arguments(["--output", "new", str(core)])
    assert (args.core, args.slice) == (str(core), "new")
    with pytest.raises(UsageError, match="name the file to write"):
        vmcore_slice._arguments([])


def test_a_slice_is_not_written_over_a_dump(core: Path, tmp_path: Path) -> None:
    """Nor does the message invite to: the words may be in the wrong order."""
    dump = tmp_path / "vmcore"
    user_core(dump)
    with pytest.raises(UsageError, match="has symbols: also name the file to write"):
        kernel = vmlinux(tmp_path / "vmlinux")
        vmcore_slice.main(None, [str(core), str(kernel), "--force"])
    for words in (
        [dump],
        ["new", dump],
        [core, dump],
        [core, core],
        ["-c", core, dump],
    ):
        given = list(map(str, words))
        for force in ([], ["--force"])[: 1 if words == [core, core] else 2]:
            with pytest.raises(UsageError, match="is a dump: also name the file to"):
                vmcore_slice._arguments([*given, *force])
    assert vmcore_slice._arguments(["--list", str(core)]).slice == str(core)


@pytest.mark.slow
def test_by_drgn(core: Path) -> None:
    """drgn has opened a dump: it cannot open another."""
    done = python("-m", "drgn", "-q", "-c", core, "--no-default-symbols", SCRIPT, core)
    assert done.returncode == 2
    assert "drgn has already opened the target" in done.stderr


# VMCOREINFO that the dump lacks, but not its memory

TEXT = (
    b"OSRELEASE=6.1.0-test\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff81000100\n"
    b"OFFSET(uts_namespace.name)=0\nSYMBOL(swapper_pg_dir)=ffffffff81000000\n"
    b"SYMBOL(_stext)=ffffffff81000000\nKERNELOFFSET=0\nNUMBER(phys_base)=0\n"
)
# An address that has ffffffff81000000 as its virtual one, as write_core() has it.
KERNEL = 0xFFFFFFFF81000000 - (1 << 62)
NAME = bytes(0x100 + 130) + b"6.1.0-other\0"  # where TEXT says that it is


def guest(path: Path, pages: dict[int, bytes]) -> Path:
    with open(path, "wb") as f:
        segments = [(at, data.ljust(4096, b"\0")) for at, data in pages.items()]
        write_core(f, EM["X86_64"], True, [Note(b"QEMU", 0, bytes(440))], segments)
    return path


@pytest.mark.parametrize(
    "pages",
    [
        {0x3000: TEXT[:90]},  # not whole
        {0x3000: b"x" + TEXT},  # not at the beginning of a page
        {0x3000: TEXT, KERNEL: NAME},  # of another kernel
        {0x3000: b"OSRELEASE=" * 400},
        {0x3000: TEXT.replace(b"6.1", b"\xff.1")},
    ],
    ids=["cut", "shifted", "other", "many", "damaged"],
)
def test_vmcoreinfo_that_is_none(tmp_path: Path, pages: dict[int, bytes]) -> None:
    done = run("-c", guest(tmp_path / "x", pages))
    one_line(done, 3, "start QEMU with -device vmcoreinfo")
    assert "--vmcoreinfo FILE" in done.stderr


def with_a_page(core: Path, path: Path, notes: list[Note]) -> bytes:
    """Write a recorded core with other notes, and its VMCOREINFO in a page."""
    from drgn_veth.dump.elfcore import physical_segments, read_notes

    (text,) = (n.data for n in read_notes(core) if n.name == b"VMCOREINFO")
    with open(core, "rb") as f:
        segments = []
        for address, offset, size in physical_segments(f):
            f.seek(offset)
            segments.append((address, f.read(size)))
    last, data = segments[-1]
    page = (last + len(data) + 0xFFF) & ~0xFFF
    segments.append((page, text.ljust(4096, b"\0")))
    notes = notes + [n for n in read_notes(core) if n.name != b"VMCOREINFO"]
    with open(path, "wb") as out:
        write_core(out, EM["X86_64"], True, notes, segments)
    return text


@pytest.mark.slow
def test_vmcoreinfo_in_memory(core: Path, tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    with_a_page(core, path, [Note(b"QEMU", 0, bytes(440))])
    done = run("-c", path, "--format", "csv")
    assert (done.returncode, done.stdout) == (
        0,
        run("-c", core, "--format", "csv").stdout,
    )
    assert "it has no VMCOREINFO; using the one at 0x" in done.stderr.splitlines()[0]


@pytest.mark.slow
def test_vmcoreinfo_that_is_given(core: Path, tmp_path: Path) -> None:
    path, given = tmp_path / "vmcore", tmp_path / "text"
    given.write_bytes(with_a_page(core, path, [Note(b"QEMU", 0, bytes(440))]))
    done = run("-c", path, "--vmcoreinfo", given, "--format", "csv")
    assert (done.returncode, done.stdout) == (
        0,
        run("-c", core, "--format", "csv").stdout,
    )
    assert "VMCOREINFO" not in done.stderr
    given.write_text("x")
    done = run("-c", path, "--vmcoreinfo", given)
    one_line(done, 2, f"--vmcoreinfo {given}: expected the text of VMCOREINFO")
    one_line(run("--vmcoreinfo", "/nosuch"), 2, "--vmcoreinfo /nosuch: No such file")


# /proc/kcore


def kcore_paths(folder: Path, lockdown: str = "", mounts: str = "") -> kcore._Paths:
    paths = kcore._Paths(*(str(folder / name) for name in kcore._Paths._fields))
    Path(paths.kcore).write_bytes(b"")
    Path(paths.lockdown).write_text(lockdown)
    Path(paths.mounts).write_text(mounts.replace("KCORE", paths.kcore))
    return paths


def test_kcore_that_is_masked(tmp_path: Path) -> None:
    """As runc does it: /dev/null, or a file on a tmpfs, is mounted over it."""
    paths = kcore_paths(tmp_path)
    assert kcore.why_no_kcore(paths) is None
    for masked in (
        paths._replace(kcore="/dev/null"),
        kcore_paths(tmp_path, mounts="36 35 0:5 /null KCORE rw - devtmpfs x rw\n"),
    ):
        why = kcore.why_no_kcore(masked)
        assert why is not None and "is masked, as in a container" in why
        assert "nsenter -t 1 -m" in why


@pytest.mark.parametrize(
    "lockdown, said",
    [
        ("none integrity [confidentiality]\n", "lockdown does not let anybody"),
        ("none [integrity] confidentiality\n", "CAP_SYS_RAWIO"),
        ("", "CAP_SYS_RAWIO"),
    ],
)
def test_kcore_that_is_refused(
    tmp_path: Path, lockdown: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(1, "Operation not permitted")

    paths = kcore_paths(tmp_path, lockdown)
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    why = kcore.why_no_kcore(paths)
    assert why is not None and said in why


def test_program_is_no_vmlinux() -> None:
    assert kind_of(sys.executable).kind is Kind.OTHER


def test_a_file_of_a_32_bit_machine(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    path.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(9) + b"\4\0\3\0" + bytes(64))
    kind = kind_of(str(path))
    assert kind.kind is Kind.OTHER and kind.what == "a 32-bit ELF file"
    assert kind.instead == "drgn-veth reads 64-bit kernels"


def test_a_machine_that_drgn_does_not_translate_for(tmp_path: Path) -> None:
    path, riscv = tmp_path / "vmcore", 243
    with open(path, "wb") as f:
        write_core(f, riscv, True, [Note(b"VMCOREINFO", 0, TEXT)], [(0, bytes(4096))])
    done = run("-c", path)
    one_line(done, 3, "does not translate kernel addresses of this machine (RISCV64)")
