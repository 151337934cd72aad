# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Runs that start warm
--------------------

A script takes longer to import drgn and its own modules than to do most of its work. So
one process imports everything, opens cores, and forks for each run: a process with its
own streams, signals and exit status. How a script starts is tested in new processes.
"""

from collections.abc import Sequence
import contextlib
import functools
import importlib
import json
import os
from pathlib import Path
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from typing import IO, Any, NoReturn, Optional, Union

__all__ = ("Running", "run_warm", "start_warm")

_HELPERS = Path(__file__).resolve().parent.parent.parent / "helpers"
_MESSAGE = 1 << 20
_BUFFERED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
_Stream = Union[int, IO[Any], None]


class Running:
    """A run that was started, and the ends of its streams that are ours."""

    def __init__(self, channel: socket.socket, argv: Sequence[str]) -> None:
        self._channel = channel
        self.args = argv
        self.stdout: Optional[IO[bytes]] = None
        self.stderr: Optional[IO[bytes]] = None

    def wait(self, timeout: float = 60) -> int:
        """
        Return the exit status, or a signal's negative number.

        :raises TimeoutError: if it takes longer
        """
        self._channel.settimeout(timeout)
        with self._channel:
            status = self._channel.recv(_MESSAGE)
        assert status, "the process that forks is gone"
        return int(status)


@functools.cache
def _server() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    # Start the process that forks. It ends when this one does, and closes the channel.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = "import sys; from tests.support import warm; warm.serve(int(sys.argv[1]))"
    repository = str(_HELPERS.parent)
    path = [repository, str(_HELPERS), str(_HELPERS.parent / "vmcores")]
    with theirs:
        forks = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**_BUFFERED, "PYTHONPATH": os.pathsep.join(path)},
            cwd=repository,
        )
    return ours, forks


def start_warm(
    *argv: object,
    core: Optional[Path] = None,
    stdout: _Stream = subprocess.PIPE,
    stderr: _Stream = subprocess.PIPE,
    cwd: Optional[Path] = None,
) -> Running:
    """
    Start ``python3 SCRIPT ...``, or what ``-m drgn ...`` is.

    :param argv: The command line, without Python
    :param core: A recorded core that is open already, for the script to look at
    :param stdout: As :class:`subprocess.Popen` takes it
    :param stderr: Likewise
    """
    words = [os.fspath(a) if isinstance(a, Path) else str(a) for a in argv]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    running = Running(ours, words)
    with contextlib.ExitStack() as stack:
        stack.callback(theirs.close)
        fds = [theirs.fileno()]
        for name, stream in (("stdout", stdout), ("stderr", stderr)):
            if stream == subprocess.PIPE:
                read, write = os.pipe()
                stack.callback(os.close, write)
                setattr(running, name, open(read, "rb", buffering=0))
                stream = write
            assert stream is not None
            fds.append(stream if isinstance(stream, int) else stream.fileno())
        asked = {
            "argv": words,
            "core": core and os.fspath(core),
            "cwd": os.fspath(cwd or os.getcwd()),
        }
        socket.send_fds(_server()[0], [json.dumps(asked).encode()], fds)
    return running


def run_warm(
    *argv: object, timeout: float = 60, **kwargs: Any
) -> "subprocess.CompletedProcess[str]":
    """Run to the end, as :func:`subprocess.run`; see :func:`start_warm`."""
    running = start_warm(*argv, **kwargs)
    said: dict[str, bytes] = {}

    def read(name: str, stream: IO[bytes]) -> None:
        with stream:
            said[name] = b"".join(iter(lambda: stream.read(1 << 16), b""))

    readers = [
        threading.Thread(target=read, args=(name, stream))
        for name, stream in (("stdout", running.stdout), ("stderr", running.stderr))
        if stream is not None
    ]
    for reader in readers:
        reader.start()
    status = running.wait(timeout)
    for reader in readers:
        reader.join()
    text = {name: data.decode() for name, data in said.items()}
    return subprocess.CompletedProcess(
        running.args, status, text.get("stdout"), text.get("stderr")
    )


### In the process that forks


def serve(number: int) -> None:
    """Fork for each request, until nobody is there to ask."""
    import drgn_veth

    for found in pkgutil.walk_packages(drgn_veth.__path__, "drgn_veth."):
        # Of fleet, most need packages that make test does without.
        if not found.name.endswith("__main__") and ".fleet." not in found.name:
            importlib.import_module(found.name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=number) as channel:
        while True:
            data, fds, _, _ = socket.recv_fds(channel, _MESSAGE, 3)
            if not data:
                return
            asked = json.loads(data)
            prog = asked["core"] and _opened(asked["core"])
            if not os.fork():
                channel.close()
                _attend(asked, fds, prog)
            for fd in fds:
                os.close(fd)


def _attend(asked: dict[str, Any], fds: list[int], prog: Any) -> NoReturn:
    # A process that waits for the run, as no thread may be there when one forks.
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        child = os.fork()
        if not child:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(fds[0])
            _run(asked["argv"], asked["cwd"], fds[1:], prog)
        with socket.socket(fileno=fds[0]) as answer:
            status = os.waitpid(child, 0)[1]
            answer.send(b"%d" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


@functools.cache
def _opened(core: str) -> Any:
    from drgn import Program
    from drgn_veth.btf import use_btf
    from drgn_veth.snapshot import take_snapshot

    prog = Program()
    prog.set_core_dump(core)
    use_btf(prog)
    take_snapshot(prog)  # What is known of its types stays with it.
    return prog


def _run(argv: list[str], cwd: str, fds: list[int], prog: Any) -> NoReturn:
    # The end of the process is that of an interpreter.
    status = 1
    try:
        for number, fd in enumerate(fds, 1):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(cwd)
        sys.stdout = open(1, "w", closefd=False)
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        status = _status_of(argv, prog)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        status = 120
    finally:
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(status)


def _status_of(argv: list[str], prog: Any) -> int:
    import drgn
    import drgn.cli

    try:
        if argv[:2] == ["-m", "drgn"]:
            sys.argv = ["drgn", *argv[2:]]
            drgn.cli._main()
            return 0
        sys.argv = argv
        sys.path[0] = os.path.dirname(os.path.abspath(argv[0]))
        if prog is not None:
            drgn.set_default_prog(prog)
        known = None if prog is None else {"prog": prog}
        runpy.run_path(argv[0], known, "__main__")
    except SystemExit as e:
        if e.code is None or isinstance(e.code, int):
            return e.code or 0
        print(e.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
