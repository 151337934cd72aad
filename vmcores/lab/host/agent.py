# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent, which runs commands in the guest, and the host's end of its channel.

The channel is a serial port of its own. The host sends ``NUMBER JOB``, one line, where
JOB is a shell script in base64. The agent answers ``done NUMBER STATUS``, the end of
the output as lines of base64, and ``end NUMBER``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
import shlex
import socket
import time

from .qemu import Died, Qemu

__all__ = ("AGENT", "Agent")

#: A guest that boots and is silent for this many seconds hangs.
LONGEST_SILENCE = 45

#: What runs in the guest.
AGENT = r"""#!/bin/dash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8
export PYTHONPATH=@PYTHON_PATH@
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
mount -t bpf bpf /sys/fs/bpf
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
hostname lab
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
modprobe -a qemu_fw_cfg virtio_net
ip link set lo up
stty -F /dev/@PORT@ raw -echo
exec 3<> /dev/@PORT@
echo ready >&3
echo "lab: agent ready"
while read -r number job <&3; do
    file=/run/agent/$number
    echo "$job" | base64 -d > "$file"
    # Not a pipe: processes that stay in the background would keep it open.
    dash "$file" > /run/log/$number.log 2>&1 < /dev/null 3<&- 3>&-
    status=$?
    rm -f "$file"
    echo "lab: command $number ended with status $status"
    {
        echo "done $number $status"
        tail -c 65536 /run/log/$number.log | base64
        echo "end $number"
    } >&3
done
"""


class Agent:
    """The host's end of the channel to a guest."""

    def __init__(self, qemu: Qemu, path: Path, deadline: float) -> None:
        """Connect. QEMU drops what nobody listens to, so this comes before the guest
        says anything.
        """
        self._qemu = qemu
        self._received = b""
        self._number = 0
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(str(path))
                return
            except OSError:
                self._socket.close()
                qemu.check("QEMU did not start", deadline)
                time.sleep(0.02)

    def close(self) -> None:
        """Close the channel."""
        self._socket.close()

    def wait_until_ready(self, deadline: float) -> None:
        """Wait until the guest has booted and the agent reads commands.

        Gives up early on a guest whose console stays silent.
        """
        what, said, end = "the guest did not boot", "", deadline
        while True:
            try:
                while self._read_line(what, time.monotonic() + 1) != "ready":
                    pass
                return
            except Died:
                now = time.monotonic()
                before, said = said, self._qemu.console()
                if said != before:
                    end = min(deadline, now + LONGEST_SILENCE)
                if now > end or not self._qemu.is_running:
                    raise

    def _read_line(self, what: str, deadline: float) -> str:
        self._socket.settimeout(0.25)
        while b"\n" not in self._received:
            try:
                block = self._socket.recv(65536)
            except socket.timeout:
                block = b""
                # Only once there is nothing left to read.
                self._qemu.check(what, deadline)
            except OSError:
                raise self._broke(what, deadline) from None
            else:
                if not block:
                    time.sleep(0.2)
                    self._qemu.check(what, time.monotonic())
            self._received += block
        line, _, self._received = self._received.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _broke(self, what: str, deadline: float) -> Died:
        self._qemu.check(what, deadline)
        return Died(f"{what}: the channel broke{self._qemu.tail()}")

    def send(self, script: str) -> None:
        """Send a script, and do not wait for its answer."""
        self._number += 1
        job = base64.b64encode(script.encode()).decode()
        self._socket.sendall(f"{self._number} {job}\n".encode())

    def run(
        self, command: str, env: Mapping[str, str], timeout: float
    ) -> tuple[int, str]:
        """Run a command; return its exit status and the last 64 KB of its output."""
        exports = [f"export {k}={shlex.quote(v)}\n" for k, v in env.items()]
        what = f"the guest did not finish {command!r}"
        deadline = time.monotonic() + timeout
        self._socket.settimeout(timeout)
        try:
            self.send("".join(exports) + command + "\n")
        except OSError:
            raise self._broke(what, deadline) from None
        number = self._number
        while True:
            words = self._read_line(what, deadline).split()
            if words[:2] == ["done", str(number)]:
                break
        encoded: list[str] = []
        while True:
            line = self._read_line(what, deadline)
            if line == f"end {number}":
                break
            encoded.append(line)
        output = base64.b64decode("".join(encoded)).decode(errors="replace")
        return int(words[2]), output
