# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Why /proc/kcore cannot be read
------------------------------

drgn reads the running kernel through it. A container hides it, lockdown refuses it.
"""

import os
import stat
from typing import NamedTuple, Optional

__all__ = ("why_no_kcore",)

_ON_THE_HOST = (
    "run this on the host, in a privileged container, or by nsenter -t 1 -m of a "
    "privileged one that has the host's PIDs; for a dump use -c CORE"
)
_FOR_A_DUMP = "for a dump use -c CORE"


class _Paths(NamedTuple):
    # So that tests have others.
    kcore: str = "/proc/kcore"
    lockdown: str = "/sys/kernel/security/lockdown"
    mounts: str = "/proc/self/mountinfo"


_PATHS = _Paths()


def _text(path: str) -> str:
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def _is_mounted_over(paths: _Paths) -> bool:
    # Field 5 of /proc/PID/mountinfo is the mount point.
    lines = (line.split() for line in _text(paths.mounts).splitlines())
    return any(len(words) > 4 and words[4] == paths.kcore for words in lines)


def _is_locked_down(paths: _Paths) -> bool:
    # "none integrity [confidentiality]": LOCKDOWN_KCORE is refused in the last one.
    return "[confidentiality]" in _text(paths.lockdown)


def why_no_kcore(paths: _Paths = _PATHS) -> Optional[str]:
    """
    Return why the running kernel cannot be read, and what to do.

    :return: None if nothing is known to be wrong
    """
    try:
        status = os.stat(paths.kcore)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode) or _is_mounted_over(paths):
        return f"{paths.kcore} is masked, as in a container: {_ON_THE_HOST}"
    try:
        os.close(os.open(paths.kcore, os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        if _is_locked_down(paths):
            return (
                "lockdown does not let anybody read the running kernel (mode "
                "confidentiality): boot without Secure Boot or lockdown=confidentiality"
                f", or let kdump write a dump; {_FOR_A_DUMP}"
            )
        if os.geteuid() == 0:
            return (
                f"{paths.kcore} needs root (sudo) with the capability CAP_SYS_RAWIO, "
                f"which containers lack: {_ON_THE_HOST}"
            )
    except OSError:
        pass
    return None
