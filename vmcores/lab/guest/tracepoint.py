# SPDX-License-Identifier: LGPL-2.1-or-later
"""The message of a refused BPF link, which bpf(2) does not return."""

from __future__ import annotations

import os

__all__ = ("FailedLinks",)

TRACING = "/sys/kernel/tracing"
TRACE = TRACING + "/instances/prober"
EVENT = "/events/xdp/bpf_xdp_link_attach_failed"


class FailedLinks:
    """Reads the tracepoint bpf_xdp_link_attach_failed, if the kernel has it.

    It uses a tracing instance of its own, so that it leaves nothing in the kernel.
    """

    def __init__(self) -> None:
        self.pipe: int | None = None
        if not os.path.isdir(TRACING + EVENT):
            return
        os.mkdir(TRACE)
        for name, value in (("/buffer_size_kb", "64"), (EVENT + "/enable", "1")):
            with open(TRACE + name, "w", encoding="ascii") as f:
                f.write(value)
        self.pipe = os.open(TRACE + "/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)

    @property
    def is_there(self) -> bool:
        """Whether the kernel has the tracepoint."""
        return self.pipe is not None

    def read(self) -> str | None:
        """Return the message of the last failure, and forget it."""
        if self.pipe is None:
            return None
        try:
            text = os.read(self.pipe, 65536).decode(errors="replace")
        except BlockingIOError:
            return None
        message = text.rstrip("\n").rpartition("errmsg=")[2]
        return None if message in ("", "(null)") else message

    def close(self) -> None:
        """Remove the tracing instance."""
        if self.pipe is None:
            return
        with open(TRACE + EVENT + "/enable", "w", encoding="ascii") as f:
            f.write("0")
        os.close(self.pipe)
        os.rmdir(TRACE)
