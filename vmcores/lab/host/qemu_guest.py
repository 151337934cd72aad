# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest under QEMU: boot it, run commands in it, dump it, crash it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import contextlib
import json
import os
from pathlib import Path
import re
import shlex
import shutil
import tempfile
import time
from types import TracebackType
from typing import TypeVar

from . import initramfs, rootfs
from ._steps import LabError, cache_dir, lock, need_programs, run, say
from .agent import Agent
from .bytecode import copy_compiled
from .kernels import Kernel
from .machines import AMD64
from .qemu import Died, Qemu, command_line, qemu_version

__all__ = ("Died", "Guest", "try_boots")

T = TypeVar("T")

#: How often a guest is booted if it dies: of 7.3, three of ten do while they boot.
TRIES = 6

LAB = Path(__file__).resolve().parent.parent
# Crypto self-tests are the most common death of an emulated boot.
COMMAND_LINE = (
    "console={console} rootfstype=ramfs crashkernel={crashkernel}M "
    "cryptomgr.notests panic=-1 random.trust_cpu=on"
)
CRASH_COMMAND_LINE = (
    "console={console} irqpoll nr_cpus=1 reset_devices "
    "cryptomgr.notests panic=-1 random.trust_cpu=on"
)
FOLDER_PREFIX = "drgn-veth-lab-"

# The kernel reports a crash, of itself or of a program: blame the emulator.
_CRASH = re.compile(r"^.*(?:traps: |segfault at |Oops: |BUG: ).*$", re.M)


class Guest:
    """One boot of a kernel, as a context manager.

    QEMU outlives neither the block nor the thread that entered it.
    """

    def __init__(
        self,
        kernel: Kernel,
        *,
        memory_mb: int = 1024,
        smp: int = 4,
        append: str = "",
        crashkernel_mb: int = 256,
        files: Mapping[str, Path] | None = None,
        console_log: Path | None = None,
        accel: str | None = None,
        boot_timeout: float = 120,
        out_mb: int | None = None,
    ) -> None:
        """Copy ``files`` into the guest, such as {"/lab/repo": Path("/folder")}.

        ``append`` is added to the kernel's command line.
        """
        need_programs()
        need_programs([kernel.machine.qemu])
        self.kernel = kernel
        self.memory_mb = memory_mb
        self.smp = smp
        self.append = append
        self.crashkernel_mb = crashkernel_mb
        self.accel = accel
        self.boot_timeout = boot_timeout
        self.boot_seconds = 0.0
        # Room for a dump of all memory, for an ELF file of it, and for what hooks
        # write.
        self.out_mb = out_mb or memory_mb * 2 + 1024
        self._files = dict(files or {})
        self._folder: Path | None = None
        self._keep_console = console_log
        self._running: Qemu | None = None
        self._agent: Agent | None = None

    # Life and death

    def __enter__(self) -> Guest:
        try:
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The guest's folder on the host: disks, sockets, the console's log.

        It goes away when the guest is closed.
        """
        if self._folder is None:
            raise LabError("the guest is not running")
        return self._folder

    @property
    def _qemu(self) -> Qemu:
        if self._running is None:
            raise LabError("the guest is not running")
        return self._running

    @property
    def console_path(self) -> Path:
        return self.folder / "console.log"

    @property
    def qmp_socket(self) -> Path:
        """A QMP socket for ``drgn --qemu``; the lab uses another one."""
        return self.folder / "qmp"

    @property
    def out_disk(self) -> Path:
        return self.folder / "out.img"

    def console(self) -> str:
        """Return all that the guest wrote on its console up to now."""
        return self._qemu.console()

    def close(self) -> None:
        """Kill QEMU and remove the guest's folder."""
        if self._running is not None:
            self._running.kill()
            self._running = None
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        folder, self._folder = self._folder, None
        if folder is not None:
            if self._keep_console is not None:
                with contextlib.suppress(OSError):
                    self._keep_console.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / "console.log", self._keep_console)
            shutil.rmtree(folder, ignore_errors=True)

    def _boot(self) -> None:
        userland = rootfs.get(self.kernel.machine)
        kernel_disk = rootfs.kernel_disk(self.kernel)
        accel = self.accel or _accelerator(self.kernel)
        # Not deep: the address of a Unix socket has 108 bytes. Not in memory: the out
        # disk may be large.
        _remove_orphans()
        self._folder = folder = Path(
            tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-", dir="/var/tmp")
        )
        initrd = folder / "initrd"
        initrd.write_bytes(
            initramfs.build(self.kernel, userland / "busybox", rootfs.PYTHON_PATH)
        )
        self._fill_out_disk(initrd)
        machine = self.kernel.machine
        base = COMMAND_LINE.format(
            console=machine.console, crashkernel=self.crashkernel_mb
        )
        argv = command_line(
            folder,
            machine,
            accel=accel,
            memory_mb=self.memory_mb,
            smp=self.smp,
            kernel=self.kernel.vmlinuz,
            initrd=initrd,
            append=f"{base} {self.append}".strip(),
            disks={
                "rootfs": (userland / "rootfs.ext4", "readonly=on"),
                "kernel": (kernel_disk, "readonly=on"),
                "out": (self.out_disk, "cache=unsafe"),
            },
        )
        start = time.monotonic()
        self._running = Qemu(folder, argv)
        deadline = start + self.boot_timeout
        self._agent = Agent(self._running, folder / "agent", deadline)
        self._agent.wait_until_ready(deadline)
        self.boot_seconds = time.monotonic() - start

    def _fill_out_disk(self, initrd: Path) -> None:
        tree = self.folder / "out"
        (tree / "boot").mkdir(parents=True)
        (tree / "lab").mkdir()
        shutil.copyfile(self.kernel.vmlinuz, tree / "boot" / "vmlinuz")
        shutil.copyfile(initrd, tree / "boot" / "initrd")
        (tree / "boot" / "level").write_text("auto\n")
        files: dict[str, Path] = {
            "/lab/scenes": LAB / "scenes",
            "/lab/guest": LAB / "guest",
        }
        files.update(self._files)
        for place, path in files.items():
            if not place.startswith("/lab/"):
                raise LabError(
                    f"a file for the guest must go under /lab, not to {place}"
                )
            goal = tree / place.lstrip("/")
            goal.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                copy_compiled(path, goal, place)
            elif path.exists():
                shutil.copy2(path, goal)
            else:
                raise LabError(f"there is no {path} to copy into the guest")
        rootfs.ext4_image(self.out_disk, tree, self.out_mb)
        shutil.rmtree(tree)

    # Commands

    def run(
        self,
        command: str,
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
        check: bool = True,
    ) -> str:
        """Run a shell command as root, and return the last 64 KB of its output."""
        status, output = self.try_run(command, env=env, timeout=timeout)
        if status and check:
            last = output.strip().splitlines()[-20:]
            what = (
                f"in the guest ({self.kernel.release}), {command!r} failed "
                f"with status {status}" + "".join("\n  " + line for line in last)
            )
            crash = _CRASH.search(self.console())
            if crash:
                raise Died(f"{what}\n  console: {crash.group().strip()}")
            raise LabError(what)
        return output

    def try_run(
        self,
        command: str,
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> tuple[int, str]:
        """Like run(), but return the exit status as well, whatever it is."""
        if self._agent is None:
            raise LabError("the guest is not running")
        return self._agent.run(command, env or {}, timeout)

    def qmp_dump_elf(self, path: Path, timeout: float = 300) -> None:
        """Let QEMU write the guest's memory as an ELF core.

        It stops the guest meanwhile.
        """
        path = Path(path).resolve()
        self._qemu.monitor(
            "dump-guest-memory", timeout, paging=False, protocol=f"file:{path}"
        )

    # The end of a guest

    def load_crash_kernel(self, level: int | None = None) -> None:
        """Load the crash kernel.

        ``level`` is makedumpfile's -d: 31, or 1 where it does not know the kernel.
        """
        if level is not None:
            self.run(f"echo {level} > /out/boot/level")
        append = CRASH_COMMAND_LINE.format(console=self.kernel.machine.console)
        # No checks: on arm64, the checksum of it all takes long, as no cache is on yet.
        self.run(
            "kexec --no-checks -p /out/boot/vmlinuz --initrd=/out/boot/initrd "
            f"--append={shlex.quote(append)}"
        )
        if self.run("cat /sys/kernel/kexec_crash_loaded").strip() != "1":
            raise LabError(f"the crash kernel of {self.kernel.release} did not load")

    def crash(self, timeout: float = 300, level: int | None = None) -> None:
        """Panic, and wait until the crash kernel has written /out/vmcore."""
        self.load_crash_kernel(level)
        self.run("cp -a /run/log /out/; sync; umount /out || mount -o remount,ro /out")
        self._trigger_crash()
        deadline = time.monotonic() + timeout
        while self._qemu.is_running:
            if time.monotonic() > deadline:
                tail = self._qemu.tail()
                raise Died(f"the crash kernel did not finish its dump in time{tail}")
            time.sleep(0.05)
        if "lab: dump ended with status" not in self.console():
            raise Died(f"the guest ended without a dump{self._qemu.tail()}")

    def _trigger_crash(self) -> None:
        if self._agent is None:
            raise LabError("the guest is not running")
        # There will be no answer.
        self._agent.send(
            "echo 1 > /proc/sys/kernel/sysrq\n"
            "taskset -c 0 dash -c 'echo c > /proc/sysrq-trigger'\n"
        )

    def panic(self, timeout: float = 60) -> None:
        """Panic without a crash kernel, and leave the guest halted."""
        self.run("echo 0 > /proc/sys/kernel/panic")
        self._trigger_crash()
        deadline = time.monotonic() + timeout
        while "end Kernel panic" not in self.console():
            if time.monotonic() > deadline:
                raise Died(f"the guest did not panic in time{self._qemu.tail()}")
            time.sleep(0.05)

    def power_off(self) -> None:
        """End the guest with its out disk intact."""
        self.run(
            "cp -a /run/log /out/; sync; umount /out || mount -o remount,ro /out; sync"
        )
        self._qemu.kill()

    def empty_out_disk(self, folder: Path) -> None:
        """Copy the files of the out disk to a folder, after crash() or power_off()."""
        if self._running is not None and self._running.is_running:
            raise LabError("the guest still uses its out disk")
        folder.mkdir(parents=True, exist_ok=True)
        said = run(["debugfs", "-R", f"rdump / {folder}", str(self.out_disk)])
        if "rdump:" in said:
            raise LabError(
                f"the out disk cannot be read: {said.strip().splitlines()[-1]}"
            )


def try_boots(release: str, attempt: Callable[[], T]) -> T:
    """Return what a function that boots a guest returns.

    It is called again if the guest dies, up to TRIES times in all.
    """
    for number in range(1, TRIES):
        try:
            return attempt()
        except Died as e:
            say(f"boot {number} of {release} died, trying again: {e}")
    return attempt()


def _remove_orphans() -> None:
    """Remove the folders of processes that were killed."""
    for path in Path("/var/tmp").glob(FOLDER_PREFIX + "*-*"):
        pid = path.name[len(FOLDER_PREFIX) :].split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


def _accelerator(kernel: Kernel) -> str:
    """Return 'kvm' if a trial boot with it worked since the host booted, or 'tcg'."""
    is_foreign = kernel.machine.arch != AMD64.arch
    if is_foreign or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    with open("/proc/sys/kernel/random/boot_id") as f:
        machine = f"{f.read().strip()} {qemu_version()}"
    path = cache_dir() / "kvm.json"
    with lock("kvm"):
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(path.read_text())
            if known["machine"] == machine:
                return str(known["accel"])
        accel = "tcg"
        say("checking whether KVM works")
        try:
            with Guest(kernel, accel="kvm", boot_timeout=20) as guest:
                if guest.run("echo works", timeout=10).strip() == "works":
                    accel = "kvm"
        except LabError as e:
            say(f"KVM does not work here, emulating the CPU ({str(e).splitlines()[0]})")
        path.write_text(json.dumps({"machine": machine, "accel": accel}) + "\n")
    return accel
