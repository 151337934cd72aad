#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ask the kernel what it answers to XDP attaches, for every device in every network
namespace, and leave everything as it was.

Use: ``prober.py OUT``, after truth.py has recorded. OUT is JSON in ASCII, one answer a
line; names are written as truth.py writes them::

    {"format": "drgn-veth-answers/1", "seconds": 12.3, "tracepoint": true,
     "programs": [{"id": 7, "name": "ask_plain", "expected_attach_type": 0,
       "frags": false, "bound_ifindex": 0, "bound_netns": null, "pin": "..."}],
     "skipped": [{"netns": INUM, "ifindex": 2, "name": "eth0", "op": "detach",
       "reason": "..."}],
     "answers": [{"netns": INUM, "ifindex": 2, "name": "eth0", "op": OP, "via": VIA,
       "mode": MODE, "frags": false, "flags": 1, "program": 7, "link": null,
       "own": false, "current": null, "expected": null, "errno": 0, "message": null,
       "traced": null}]}

OP is attach, replace, detach, update, link_detach or flags; VIA netlink or link; MODE
default, generic, driver or offload. "flags" are those of the netlink request, of
BPF_LINK_CREATE or of BPF_LINK_UPDATE. "program" is the id of the program asked with. It
is null for a detach, and if the program could not be loaded: then the answer is that of
the load, and also has "function": "bpf_prog_load". "link" is the id of the link acted
on. "own" answers are about what the prober itself has just attached, and "current" is
then the id of the program attached at that moment. "expected" says whether the old
program named in the request was attached ("current") or not ("other"). "message" comes
from the netlink answer, "traced" from the tracepoint bpf_xdp_link_attach_failed, if the
kernel has it.

The programs stay pinned. /run/lab/keep lists devices, ``INUM IFINDEX`` a line, with a
state that an attach would mend and nothing would bring back: the prober replaces no
program there.
"""

from __future__ import annotations

from collections.abc import Sequence
import sys
import time

from answers import write_answers
from bpf import MODES
from devices import Device
from probing.kernel import Kernel, ProberError, expedited_rcu
from probing.loaded import Loaded, Program
from probing.questions import Questions
from probing.requests import Requests
from probing.scene import Scene
from tracepoint import FailedLinks

__all__ = ("ask_all", "ask_bound", "main")

ARPHRD_ETHER = 1
PLAIN_KINDS = ("dummy", "bond")


def ask_all() -> Requests:
    """Ask about all devices, and check that nothing changes.

    :raises ProberError: something changed
    """
    kernel = Kernel()
    before = kernel.state()
    loaded = Loaded()
    if loaded.plain.fd is None:
        raise ProberError("the plain program cannot be loaded")
    requests = Requests(kernel, loaded, FailedLinks())
    max_mtus = {key: device.max_mtu for key, device in before.devices.items()}
    questions = Questions(requests, Scene(), max_mtus)
    targets = []
    seen: set[tuple[int, str | None]] = set()
    for (inum, _), device in before.devices.items():
        # All veths and NICs, and the first of each kind in PLAIN_KINDS.
        special = device.kind == "veth" or (
            device.kind is None and device.type == ARPHRD_ETHER
        )
        place = inum if device.kind == "veth" else 0, device.kind
        first = place not in seen
        seen.add(place)
        if first and device.kind in PLAIN_KINDS:
            special = True
        requests.about(inum, device)
        questions.attaches()
        questions.replaces()
        if special:
            questions.specials(first or bool(device.xdp))
            targets.append((inum, device))
    ask_bound(requests, targets)
    requests.failed.close()
    kernel.restore_features(before)
    kernel.must_be(before)
    kernel.leave()
    return requests


def ask_bound(requests: Requests, targets: Sequence[tuple[int, Device]]) -> None:
    """Ask with a program that is bound to one device, about that and other devices."""
    takers = {
        (answer["netns"], answer["ifindex"])
        for answer in requests.answers
        if answer["op"] == "attach"
        and answer["mode"] == "driver"
        and answer["errno"] == 0
    }
    veths = [t for t in targets if t[1].kind == "veth"]
    free = [t for t in veths if not t[1].xdp and (t[0], t[1].ifindex) in takers]
    if not free:
        return
    inum, first = free[0]
    requests.about(inum, first)
    program = requests.loaded.bound(inum, first.ifindex)
    if program.fd is None:
        reason = f"no device-bound program: errno {program.load_errno}"
        requests.skip("attach", reason)
        return
    with_program = [t for t in veths if t[1].xdp]
    others = [t for t in targets if t[1].kind in PLAIN_KINDS or not t[1].kind]
    for inum, device in free[:2] + free[-1:] + with_program[:2] + others:
        requests.about(inum, device)
        for mode in MODES:
            requests.attach(mode, program)


def _program(program: Program) -> dict[str, object]:
    return {
        "id": program.id,
        "name": program.name,
        "expected_attach_type": program.attach_type,
        "frags": program.frags,
        "bound_ifindex": program.bound_ifindex,
        "bound_netns": program.bound_netns,
        "pin": program.pin,
    }


def _write(path: str, requests: Requests, seconds: float) -> None:
    head = {
        "format": "drgn-veth-answers/1",
        "seconds": seconds,
        "tracepoint": requests.failed.is_there,
        "programs": list(map(_program, requests.loaded.pinned)),
        "skipped": requests.skipped,
    }
    write_answers(path, head, requests.answers)


def main(arguments: Sequence[str]) -> int:
    """Write the answers to the file named by the only argument."""
    if len(arguments) != 1:
        print("usage: prober.py OUT", file=sys.stderr)
        return 2
    start = time.monotonic()
    try:
        with expedited_rcu():
            requests = ask_all()
    except ProberError as e:
        print(f"prober.py: {e}", file=sys.stderr)
        return 1
    seconds = round(time.monotonic() - start, 1)
    _write(arguments[0], requests, seconds)
    print(
        f"prober: {len(requests.answers)} answers, {len(requests.skipped)} skipped, "
        f"{seconds} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
