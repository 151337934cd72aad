# SPDX-License-Identifier: LGPL-2.1-or-later
# PYTHON_ARGCOMPLETE_OK: for shells in which all of its commands are completed.
"""
The start of a script, and of the command
-----------------------------------------

What has to happen before drgn is imported: signal handlers, and a check of the versions
of Python and drgn. The package :mod:`drgn_veth` imports drgn, so this module is outside
of it.
"""

import os
import signal
import sys


def _early(number, _):  # type: ignore[no-untyped-def]
    os._exit(128 + number)


# The imports below take as long as all before them. A library leaves signals alone.
if os.path.basename(sys.argv[0] if sys.argv else "") == "drgn-veth":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _early)

import contextlib  # noqa: E402
import re  # noqa: E402

# Not list[int]: a Python that is too old has to get as far as the check.
from typing import (  # noqa: E402
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    NoReturn,
    Optional,
    Tuple,
)

__all__ = (
    "COMMAND",
    "OLDEST_DRGN",
    "at_signal",
    "called",
    "check_module",
    "check_versions",
    "command",
    "last_step",
    "name_in_messages",
    "restore_signals",
    "start",
    "subcommand",
)

#: The command that pip installs.
COMMAND: str = "drgn-veth"

#: The oldest supported drgn, as in pyproject.toml.
OLDEST_DRGN = (0, 0, 33)

_WANTED = "drgn>=" + ".".join(map(str, OLDEST_DRGN))
_OLDEST_PYTHON = (3, 9)
_EXIT_USAGE = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_undo: List[Callable[[], None]] = []
_before: Dict[int, Any] = {}  # handlers of signals
_called: Optional[str] = None  # "drgn-veth report"; None: a script
_late: Optional[List[int]] = None  # signals since the last step began
_in_last_step = False


@contextlib.contextmanager
def at_signal(undo: Callable[[], None]) -> Iterator[None]:
    """Call a function if a signal ends the process in this block."""
    _undo.append(undo)
    try:
        yield
    finally:
        _undo.remove(undo)


@contextlib.contextmanager
def last_step() -> Iterator[None]:
    """
    Complete the work in this block, for example by naming the output file.

    A signal during this step or after it comes too late and is ignored; a second one
    after it ends the process. If the step fails, the signal ends the process then.
    """
    global _late, _in_last_step
    _late = []
    _in_last_step = True
    try:
        yield
    except BaseException:
        missed, _late = _late, None
        for number in missed:
            _end(number, None)
        raise
    finally:
        _in_last_step = False


def _end(number: int, _: object) -> None:
    if _late is not None:
        _late.append(number)
        if _in_last_step or len(_late) == 1:
            return
    # Do not raise an exception: in an import, in a callback from C or at exit, Python
    # would print it.
    for undo in _undo:
        with contextlib.suppress(OSError):
            undo()
    os._exit(128 + number)


def _end_at_signals() -> None:
    for number in _SIGNALS:
        # nohup and a shell's & ignore some signals: keep them ignored.
        handler = signal.getsignal(number)
        if handler is _early:
            handler = signal.default_int_handler
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)
            _before[number] = handler


def restore_signals() -> None:
    """
    Restore the signal handlers from before the script.

    After the last step, signals stay ignored until the process ends, except in an
    interactive shell.
    """
    global _late
    shell = hasattr(sys, "ps1") or sys.flags.interactive
    ended = _late is not None and not shell
    while _before:
        number, handler = _before.popitem()
        signal.signal(number, signal.SIG_IGN if ended else handler)
    _late = None


def called(name: Optional[str]) -> None:
    """
    Say what the user typed.

    :param name: The command, with its subcommand once that is known; None: a script
    """
    global _called
    _called = name


def name_in_messages() -> str:
    """Return what messages begin with: the command, or the name of the script."""
    return _called or os.path.splitext(os.path.basename(sys.argv[0]))[0]


def subcommand(name: str) -> Optional[str]:
    """
    Return how a user of the command calls another subcommand.

    :return: None if a script runs, and not the command
    """
    return f"{COMMAND} {name}" if _called else None


def _fail(message: str) -> NoReturn:
    name = name_in_messages()
    if sys.stderr is not None:  # closed; print() would take standard output
        message = " ".join(message.split())
        with contextlib.suppress(OSError):
            print(f"{name}: {message}", file=sys.stderr, flush=True)
    sys.exit(_EXIT_USAGE)


def _release(version: str) -> Tuple[int, ...]:
    # "0.0.33", "0.3.0+12.gdeadbeef", "0.0.33rc1"
    numbers = []
    for part in version.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def check_versions() -> str:
    """
    Return the version of drgn. If it or Python is too old, print one line and exit.
    """
    if sys.version_info < _OLDEST_PYTHON:
        _fail("Python 3.9 or later is required")
    try:
        import drgn

        version: str = drgn.__version__
    except ModuleNotFoundError as e:
        _fail(f"{e}: pip install '{_WANTED}'")
    except (ImportError, AttributeError) as e:
        _fail(f"drgn cannot be loaded: {e}: pip install '{_WANTED}'")
    if _release(version) < OLDEST_DRGN:
        _fail(f"drgn {version} is too old: pip install '{_WANTED}'")
    return version


def check_module() -> None:
    """
    Begin ``python3 -m drgn_veth``, which imports the package before anything else.
    """
    # While Python looks for the module, its name is not in sys.argv.
    if sys.argv[:1] != ["-m"]:
        return
    try:
        with open("/proc/self/cmdline", "rb") as f:
            words = f.read()
    except OSError:
        return
    if re.search(rb"\0-\w*m\0?drgn_veth\0", words):
        called(COMMAND)
        _end_at_signals()
        check_versions()


def start(face: str, prog: Any) -> NoReturn:
    """
    Run a face and exit. If an import fails, print one line.

    From here on, a signal ends the script at once and silently.

    :param face: Module of :mod:`drgn_veth.faces` whose ``main()`` is run
    :param prog: Program that drgn has set up, None without drgn
    """
    _end_at_signals()
    version = check_versions()
    try:
        import importlib

        main = importlib.import_module(f"drgn_veth.faces.{face}").main
        from drgn_veth.faces.status import run
    except (ImportError, AttributeError) as e:
        _fail(f"{e}; this is drgn {version}, {_WANTED} is required")
    sys.exit(run(main, prog))


def command() -> NoReturn:
    """Run the command ``drgn-veth`` and exit (the entry point of the package)."""
    called(COMMAND)
    start("cli", None)
