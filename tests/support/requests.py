# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests, in words, about devices that are made by hand."""

from typing import Any, Optional

from drgn_veth.analysis.ask import Asker, Question, after
from drgn_veth.analysis.attach.question import Answer
from drgn_veth.model import Bond, Device, Driver, Snapshot

from tests.support.asked import question_of
from tests.support.damage import named
from tests.support.snapshots import HOST, device, pair, queues

__all__ = (
    "BOND_DRIVER",
    "BRIDGE_DRIVER",
    "SOUND",
    "VIRTIO",
    "above",
    "answer_to",
    "changed",
    "errnos_of",
    "granted",
    "key_of",
    "sound_pair",
    "with_bond",
)

#: A veth that is down, and has two of four queues.
SOUND: dict[str, Any] = {
    "flags": (),
    "mac": "02:00:00:00:00:01",
    "min_mtu": 68,
    "max_mtu": 65535,
    **queues(2, 2, 4, 4),
}
BRIDGE_DRIVER = Driver("bridge", False, False, False, ndo_add_slave=True)
BOND_DRIVER = Driver(
    "bond", True, False, False, ndo_add_slave=True, ndo_change_mtu=True
)
#: What makes a veth a NIC instead.
VIRTIO: dict[str, Any] = {
    **SOUND,
    "driver": Driver("virtio_net", True, True, True),
    "kind": None,
    "peer": None,
}


def above(kind: str, number: int, **changes: Any) -> Device:
    """A device of the host that may lie on others, named after its kind."""
    name = f"{kind}0"
    made = device(HOST, number, name, kind=kind, netns_label="host")
    made = made._replace(driver=Driver(kind, False, False, False))
    return made._replace(**changes)


def sound_pair(*others: Device, **near: Any) -> Snapshot:
    """Return a sound pair, with changes of veth0, and other devices."""
    return pair({**SOUND, **near}, SOUND, *others)


def with_bond(whole: Snapshot, *slaves: str, **changes: Any) -> Snapshot:
    """Add bond0, of which some devices are slaves."""
    refs = tuple(named(whole, name).ref for name in slaves)
    bond = above("bond", 20, bond=Bond("active-backup", "layer2", refs), mtu=9000)
    bond = bond._replace(driver=BOND_DRIVER, lowers=refs)._replace(**changes)
    devices = [
        one._replace(master=bond.ref, uppers=(bond.ref,)) if one.ref in refs else one
        for one in whole.devices
    ]
    return whole._replace(devices=(*devices, bond))


def changed(whole: Snapshot, which: str, **changes: Any) -> Snapshot:
    """Change the device of this name."""
    devices = (
        one._replace(**changes) if one.name == which else one for one in whole.devices
    )
    return whole._replace(devices=tuple(devices))


def _asked(whole: Snapshot, text: str, name: Optional[str]) -> Question:
    # The first of a pair may be called like another one.
    one = whole.devices[0] if name is None else named(whole, name)
    return question_of(one.net_device, text)


def answer_to(whole: Snapshot, text: str, name: Optional[str] = None) -> Answer:
    """
    The answer to a request.

    :param name: Of the device; None: the first one
    """
    return Asker(whole).ask(_asked(whole, text, name))


def errnos_of(answer: Answer) -> list[Any]:
    """All that the kernel may return."""
    return [one.errno for one in answer.either or (answer,)]


def key_of(answer: Answer) -> Optional[str]:
    """The decision that refuses, if there is one."""
    return None if answer.decision is None else answer.decision[0]


def granted(whole: Snapshot, text: str, name: Optional[str] = None) -> Snapshot:
    """What there is after the kernel granted a request."""
    return after(whole, _asked(whole, text, name))
