# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command drgn-veth: its subcommands, and what it is called in what it says."""

import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Callable

from drgn_veth.faces import cli, commands, meant, options
from drgn_veth.faces.status import UsageError
import drgn_veth_start
import pytest

from tests.support.recorded import smallest_core
from tests.support.scripts import REPOSITORY, run, started, take_signals
from tests.support.slow import slow_but

ENTRY = """
    from drgn_veth_start import command
    sys.argv[0] = "/usr/bin/drgn-veth"
    command()
"""

# Sends SIGINT to its own process when a module is about to be imported.
AT_IMPORT = """
import os, signal, sys

class Killer:
    def find_spec(self, name, path=None, target=None):
        if name == "drgn_veth.model":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Killer())
"""


@pytest.fixture(scope="module")
def core() -> Path:
    return smallest_core().core


def installed(*args: object) -> "subprocess.CompletedProcess[str]":
    """Run the entry point, as the script does that pip makes."""
    done: subprocess.CompletedProcess[str] = started(ENTRY, Path("drgn-veth"), *args)
    return done


def as_module(python: str, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [python, "-m", "drgn_veth", *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "helpers")},
    )


@pytest.mark.slow
def test_report_without_a_subcommand(
    core: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(core.parent)
    plain = run("-c", core.name, cwd=core.parent)
    done = installed("-c", core.name)
    same = plain.stdout.replace("xdp_attach.py -c", "drgn-veth attach -c")
    assert same != plain.stdout
    assert (done.returncode, done.stdout) == (0, same)
    assert done.stderr.replace("drgn-veth report: ", "veth_report: ") == plain.stderr


@pytest.mark.slow
def test_module_is_the_command(core: Path) -> None:
    done = as_module(sys.executable, "netns", "-c", str(core))
    assert (done.returncode, done.stdout) == (0, installed("netns", "-c", core).stdout)


@pytest.mark.slow
def test_name_in_messages(core: Path) -> None:
    done = installed("attach", "-c", core, "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("drgn-veth attach: no device named 'nosuch'")
    done = installed("attach", "--nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    said = "unrecognized arguments: --nosuch; drgn-veth attach -h lists the options"
    assert done.stderr == f"drgn-veth attach: {said}\n"


@pytest.mark.parametrize(
    "argv, name, rest",
    [
        ([], "report", []),
        (["--all"], "report", ["--all"]),
        (["-c", "core", "attach", "lo"], "attach", ["-c", "core", "lo"]),
        (["-ccore", "-s", "netns", "netns"], "netns", ["-ccore", "-s", "netns"]),
        (["--core=netns", "slice", "x"], "slice", ["--core=netns", "x"]),
        (["/boot/vmlinux", "./attach"], "report", ["/boot/vmlinux", "./attach"]),
        (["report", "attach"], "report", ["attach"]),
        (["--all", "attach"], "report", ["--all", "attach"]),
        (["/boot/vmlinux", "attach", "lo"], "attach", ["/boot/vmlinux", "lo"]),
        (["-sx.ko", "attach", "lo"], "attach", ["-sx.ko", "lo"]),
        (["--symbols=x.ko", "netns"], "netns", ["--symbols=x.ko"]),
        (["--qemu", "q.sock", "netns"], "netns", ["--qemu", "q.sock"]),
        (["--qemu", "q.sock", "veth0"], "report", ["--qemu", "q.sock", "veth0"]),
        (["veth0", "--qemu=q.sock"], "report", ["veth0", "--qemu=q.sock"]),
        (["veth0", "-cvmcore"], "report", ["veth0", "-cvmcore"]),
        (["--core=vmcore", "veth0"], "report", ["--core=vmcore", "veth0"]),
    ],
)
def test_where_the_subcommand_is(argv: list[str], name: str, rest: list[str]) -> None:
    assert cli._split(argv) == (name, rest)


UNKNOWN = [
    (["atach"], "'atach'; did you mean attach?; for a device, drgn-veth report at"),
    (["veth0"], "no file or subcommand is called 'veth0'; there are report, "),
    (["help", "atach"], "'atach'; did you mean attach?"),
    (["help", "attach", "lo"], "help takes one subcommand"),
]


@pytest.mark.parametrize(
    "argv, said",
    slow_but(UNKNOWN[:1], UNKNOWN),
)
def test_no_such_subcommand(argv: list[str], said: str) -> None:
    done = installed(*argv)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("drgn-veth: ") and said in line


def test_options_of_another_subcommand() -> None:
    """What is offered exists."""
    for name in ("xdp", "rps"):
        with pytest.raises(UsageError, match="for that, drgn-veth report --format js"):
            cli.main(None, [name, "--format", "json"])
    for option, name in meant._ELSEWHERE.items():
        assert option in cli.parser_of(name)._option_string_actions
    for option in meant._HABITS.values():
        parser = cli.parser_of("report")
        assert option.partition(" ")[0] in parser._option_string_actions


@pytest.mark.slow
def test_a_subcommand_that_is_misspelt(core: Path) -> None:
    said = r"no device matches 'atach'; did you mean drgn-veth attach\?$"
    with pytest.raises(UsageError, match=said):
        cli.main(None, ["atach", str(core), "veth_xxx0"])


@pytest.mark.slow
def test_how_to_list_devices(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(core.parent)
    said = f"has a similar name: drgn-veth report -c {core.name} --all lists them$"
    with pytest.raises(UsageError, match=said):
        cli.main(None, ["xdp", core.name, "%%%"])


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    screens = []
    for argv in (["-h"], ["--help"], ["help"]):
        assert cli.main(None, argv) == 0
        screens.append(capsys.readouterr().out)
    assert len(set(screens)) == 1
    assert all(len(line) <= 80 for line in screens[0].splitlines())
    for name in commands.FACES:
        assert f"\n  {name} " in screens[0]
        assert cli.main(None, ["help", name]) == 0
        screen = capsys.readouterr().out
        assert screen.startswith(f"usage: drgn-veth {name} [-h]")
        with pytest.raises(SystemExit):
            cli.main(None, [name, "-h"])
        assert capsys.readouterr().out == screen


def test_examples_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Who runs the command is not told to run a script of a checkout."""
    for name in commands.FACES:
        cli.main(None, ["help", name])
        screen = capsys.readouterr().out
        assert "scripts/" not in screen and ".py" not in screen


@pytest.mark.parametrize(
    "script, command",
    [
        ("drgn scripts/veth_report.py --all", "drgn-veth report --all"),
        (
            "drgn -c vmcore -s a -s b drgn_scripts/xdp_attach.py lo",
            "drgn-veth attach -c vmcore -s a -s b lo",
        ),
        ("python3 scripts/netns_report.py -c vmcore", "drgn-veth netns -c vmcore"),
        ("drgn --qemu q.sock scripts/veth_report.py", "drgn-veth report --qemu q.sock"),
        ("x && drgn -c a scripts/other.py", "x && drgn -c a scripts/other.py"),
    ],
)
def test_example(script: str, command: str) -> None:
    assert commands.in_words_of_command(script) == command


def test_a_device_without_a_subcommand(core: Path) -> None:
    for words in ([core, "veth_xxx0"], ["-c", core, "veth_xxx0"], ["veth_xxx0", core]):
        assert cli._split(list(map(str, words)))[0] == "report"
    with pytest.raises(UsageError, match="drgn-veth report veth_xxx0"):
        cli._split(["veth_xxx0"])


@pytest.mark.parametrize("word", ["vmcore", "vmcore.1", "vmlinux-6.1", "x.core"])
def test_a_file_that_is_not_there(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["attach", word, "veth0"], ["report", "veth0", word]):
        with pytest.raises(UsageError, match=f"^{word}: no such file$"):
            cli.main(None, words)
    said = f"^no file, subcommand or device is called {word}$"
    with pytest.raises(UsageError, match=said):
        cli.main(None, [word])


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--version"], ["-h"], ["report", "-h"], ["help"]])
def test_help_that_cannot_be_written(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "drgn_veth", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "helpers")},
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr


def test_slice_needs_an_output(core: Path) -> None:
    before = core.read_bytes()
    with pytest.raises(UsageError, match="is a dump: also name the file to write"):
        cli.main(None, ["slice", str(core), "--force"])
    assert core.read_bytes() == before


def test_how_to_call_a_subcommand() -> None:
    assert options.command("attach") == "xdp_attach.py"
    assert options.command("explain") == "veth_report.py --explain"
    assert options.command("xdp") == "drgn-veth xdp"  # There is no script.
    drgn_veth_start.called("drgn-veth report")
    assert options.command("attach") == "drgn-veth attach"


@pytest.mark.parametrize(
    "words, called",
    [
        (["x.core"], "drgn-veth attach -c x.core"),
        (["-s", "vmlinux", "--core=a b", "-s", "x.ko"],)
        + ("drgn-veth attach -c 'a b' -s vmlinux -s x.ko",),
        (["--qemu", "q.sock"], "drgn-veth attach --qemu q.sock"),
        (["-c", "x", "--system-map", "m", "--vmcoreinfo", "v"],)
        + ("drgn-veth attach -c x --vmcoreinfo v --system-map m",),
        ([], "drgn-veth attach"),
    ],
)
def test_what_is_told_to_type_reads_the_same_target(
    words: list[str], called: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.core").write_bytes(b"KDUMP   ")
    monkeypatch.chdir(tmp_path)
    drgn_veth_start.called("drgn-veth report")
    told = commands.calls(options.parse(cli.parser_of("report"), words))
    assert told.attach == called
    assert told.netns == called.replace("attach", "netns")
    assert told.explain == "drgn-veth explain"  # It reads no kernel.


def test_scripts_are_there() -> None:
    scripts = [face.script for face in commands.FACES.values() if face.script]
    assert len(scripts) == len(commands.FACES) - len({"xdp", "rps", "drops", "fleet"})
    for script in scripts:
        assert (REPOSITORY / "scripts" / script.split()[0]).exists()


def test_version() -> None:
    done = installed("--version")
    assert re.fullmatch(r"drgn-veth [\d.]+, drgn [\d.]+\n", done.stdout)


@pytest.mark.slow  # pip installs it.
def test_old_drgn(drgn_python: Callable[[str], str]) -> None:
    """Also as a module, though Python imports the package before anything else."""
    done = as_module(drgn_python("0.0.30"), "-h")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "drgn-veth: drgn 0.0.30 is too old: pip install 'drgn>=0.0.33'\n"
    )


@pytest.mark.parametrize("how", [["-m", "drgn_veth"], ["-mdrgn_veth"]], ids=len)
def test_interrupted_start_of_the_module(how: list[str], tmp_path: Path) -> None:
    """A signal while Python imports the package, which is before it runs the module."""
    (tmp_path / "sitecustomize.py").write_text(AT_IMPORT)
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "helpers")])
    done = subprocess.run(
        [sys.executable, *how, "-h"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=take_signals,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.slow
def test_module_of_others_keeps_its_signals(tmp_path: Path) -> None:
    """One that imports the package, before it runs itself."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("import drgn_veth")
    (tmp_path / "other" / "__main__.py").write_text(
        "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)"
    )
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "helpers")])
    done = subprocess.run(
        [sys.executable, "-m", "other"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        preexec_fn=take_signals,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.slow
def test_no_more_is_imported_than_a_script_needs(core: Path) -> None:
    """The command imports one small module, and no other face."""
    code = """
    import atexit
    atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))
    """
    by_script = started(code, REPOSITORY / "scripts" / "veth_report.py", "-c", core)
    by_command = started(f"{code}{ENTRY}", Path("drgn-veth"), "-c", core)
    more = set(by_command.stderr.split()) - set(by_script.stderr.split())
    assert more == {"drgn_veth.faces.cli"}
