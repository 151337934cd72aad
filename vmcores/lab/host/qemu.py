# SPDX-License-Identifier: LGPL-2.1-or-later
"""One QEMU process: its command line, its console, its monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import contextlib
import json
from pathlib import Path
import socket
import subprocess
import time
from typing import Any

from ._steps import LabError, run
from .machines import AMD64, Machine

__all__ = ("Died", "Qemu", "command_line", "qemu_version")


class Died(LabError):
    """The guest ended or hung by itself.

    Under emulation that happens; another boot is worth a try.
    """


def qemu_version() -> str:
    """Return the version of QEMU."""
    return (
        run([AMD64.qemu, "--version"]).split("version ", 1)[-1].split("\n")[0].strip()
    )


def command_line(
    folder: Path,
    machine: Machine,
    *,
    accel: str,
    memory_mb: int,
    smp: int,
    kernel: Path,
    initrd: Path,
    append: str,
    disks: Mapping[str, tuple[Path, str]],
) -> list[str]:
    """Return the command line of a guest whose sockets and logs are in a folder.

    :param accel: ``kvm`` or ``tcg``
    :param disks: by serial number, an image and an option of ``-drive``
    """
    argv = [
        # QEMU ends with this process, however that ends.
        "setpriv", "--pdeathsig", "KILL",
        machine.qemu, "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot",
        *machine.options,
        "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi",
        "-cpu", "host" if accel == "kvm" else machine.cpu,
        "-m", str(memory_mb), "-smp", str(smp),
        "-kernel", str(kernel), "-initrd", str(initrd), "-append", append,
        "-device", "vmcoreinfo",
        "-device", "virtio-rng-pci",
        "-netdev", "hubport,hubid=0,id=net0",
        "-device", "virtio-net-pci,netdev=net0,mac=52:54:00:12:34:56,romfile=",
        "-chardev", f"file,id=console,path={folder / 'console.log'}",
        "-serial", "chardev:console",
        "-chardev", f"socket,id=agent,path={folder / 'agent'},server=on,wait=off",
        *machine.agent_option,
        "-qmp", f"unix:{folder / 'qmp'},server=on,wait=off",
        "-qmp", f"unix:{folder / 'qmp-lab'},server=on,wait=off",
    ]  # fmt: skip
    for name, (path, mode) in disks.items():
        argv += [
            "-drive", f"file={path},format=raw,if=none,id={name},{mode}",
            "-device", f"virtio-blk-pci,drive={name},serial={name}",
        ]  # fmt: skip
    return argv


class Qemu:
    """A QEMU that runs in a folder, which has its console.log, qemu.log and sockets."""

    def __init__(self, folder: Path, argv: Sequence[str]) -> None:
        self.folder = folder
        with open(folder / "qemu.log", "wb") as log:
            # Ctrl-C at the terminal goes to the lab alone, which then ends QEMU.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End QEMU at once."""
        if self.is_running:
            self._process.kill()
            self._process.wait()

    def console(self) -> str:
        """Return all that the guest wrote on its console up to now."""
        try:
            return (self.folder / "console.log").read_text(errors="replace")
        except OSError:
            return ""

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the console and of QEMU, for an error."""
        text = self.console()
        with contextlib.suppress(OSError):
            text += (self.folder / "qemu.log").read_text(errors="replace")
        said = [line for line in text.replace("\r", "").splitlines() if line.strip()]
        last = [f"\n  console: {line}" for line in said[-lines:]]
        return "".join(last) or "\n  the console is empty"

    def check(self, what: str, deadline: float) -> None:
        """Raise Died when QEMU has ended or the time is up."""
        status = self._process.poll()
        if status is not None:
            raise Died(f"{what}: QEMU ended with status {status}{self.tail()}")
        if time.monotonic() > deadline:
            raise Died(f"{what} in time{self.tail()}")

    def monitor(self, command: str, timeout: float, **arguments: object) -> Any:
        """Run a command of QMP, and return what it returns."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(timeout)
                s.connect(str(self.folder / "qmp-lab"))
                with s.makefile("rwb") as f:
                    self._answer(f, command)  # The greeting.
                    for name, args in (("qmp_capabilities", {}), (command, arguments)):
                        request = {"execute": name, "arguments": args}
                        f.write(json.dumps(request).encode() + b"\n")
                        f.flush()
                        answer = self._answer(f, command)
        except OSError as e:
            raise Died(f"QMP {command} failed: {e}{self.tail()}") from e
        return answer.get("return")

    def _answer(self, f: Any, command: str) -> dict[str, Any]:
        """Return the next message that is no event."""
        while True:
            line = f.readline()
            if not line:
                raise Died(f"QEMU hung up during {command}{self.tail()}")
            answer: dict[str, Any] = json.loads(line)
            if "error" in answer:
                reason = answer["error"].get("desc")
                raise LabError(f"QEMU refused {command}: {reason}")
            if "QMP" in answer or "return" in answer:
                return answer
