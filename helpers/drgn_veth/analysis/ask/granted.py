# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What there is afterwards
------------------------

The Snapshot in which a question was granted. What a request changes besides, and cannot
be computed, is unreadable then.
"""

from typing import Any, Optional

from ...core.uapi import ETH_MAX_MTU
from ...core.unreadable import Maybe, Unreadable
from ...model import (
    Device,
    DeviceRef,
    QueueCount,
    Queues,
    RpsQueue,
    Snapshot,
    XdpProgram,
    XpsQueue,
)
from ..attach.drivers.veth import veth_max_mtu
from ..mtu_followers import mtu_followers
from ..need import need_of
from .asked import Asked
from .asking import Asker
from .channels import wanted_of
from .enslave import after_leaving, former_of, master_of, without_up
from .netns import target_of
from .request import Attach, Bind, Channels, Detach, Enslave, Move, Mtu, Question

__all__ = ("after",)

#: The program of an attach: no id yet, and no memory.
_NEW = XdpProgram(
    Unreadable("it is not loaded yet"), "", "", "netlink", None, True, False, 0, 0
)


class _Changes:
    # Records of devices that differ from those of a Snapshot.

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._now = {device.net_device: device for device in snapshot.devices}

    def of(self, ref: DeviceRef) -> Optional[Device]:
        return self._now.get(ref.net_device)

    def change(self, device: Device, **changes: Any) -> None:
        now = self._now[device.net_device]
        self._now[device.net_device] = now._replace(**changes)

    def replace(self, device: Device) -> None:
        self._now[device.net_device] = device

    def snapshot(self) -> Snapshot:
        devices = tuple(self._now[one.net_device] for one in self._snapshot.devices)
        return self._snapshot._replace(devices=devices)


def _resized(queues: Any, count: int, new: Any) -> Any:
    # RPS, XPS or XDP of the queues: those that come have no settings.
    if queues is None or isinstance(queues, Unreadable):
        return queues
    return (*queues[:count], *(new(i) for i in range(len(queues), count)))


def _default_mask(snapshot: Snapshot, device: Device) -> Maybe[tuple[int, ...]]:
    # What a new RX queue gets: see rx_queue_default_mask() (net/core/net-sysfs.c).
    for one in snapshot.namespaces:
        if one.label == device.netns_label:
            return one.rps_default_mask or ()
    return Unreadable("the namespace of the device is not known")


def _channels(q: Asked, snapshot: Snapshot, changes: _Changes) -> None:
    rx, tx, combined, _ = wanted_of(q)
    if combined:
        rx = tx = combined
    queues, device = q.device.queues, q.device
    mask = _default_mask(snapshot, device)
    changes.change(
        device,
        queues=Queues(
            QueueCount(rx, queues.rx.allocated), QueueCount(tx, queues.tx.allocated)
        ),
        rps=_resized(device.rps, rx, lambda i: RpsQueue(i, mask, 0)),
        xps=_resized(device.xps, tx, lambda i: XpsQueue(i, (), ())),
        xdp=device.xdp._replace(
            queues=Unreadable("ethtool -L changes which queues have a program")
        ),
    )


def _mtu(device: Device, mtu: int, changes: _Changes) -> None:
    changes.change(device, mtu=mtu)
    if device.bond is not None and not isinstance(device.bond.slaves, Unreadable):
        for ref in device.bond.slaves:
            slave = changes.of(ref)
            if slave is not None:
                changes.change(slave, mtu=mtu)
    for upper, now in list(mtu_followers(device, mtu, changes.of)):
        changes.change(upper, mtu=now)


def _limit_of(q: Asked, device: Device, frags: bool) -> Maybe[int]:
    peer = device.peer
    if peer is None or isinstance(peer, Unreadable):
        return Unreadable("the peer is not known")
    return veth_max_mtu(q.kernel, q.device_at(peer), frags)


def _native(q: Asked, device: Device, frags: Optional[bool], changes: _Changes) -> None:
    # What a native program, or its detach, changes at a veth and at its peer.
    if device.kind != "veth":
        return
    if device.veth is not None:
        # Any pointer: there is one.
        veth = device.veth._replace(prog=0 if frags is None else 1)
        changes.change(device, veth=veth)
    peer = device.peer
    if peer is None or isinstance(peer, Unreadable):
        return
    other = changes.of(peer)
    if other is not None:
        limit = ETH_MAX_MTU if frags is None else _limit_of(q, device, frags)
        changes.change(other, max_mtu=limit)


def _slaves(device: Device, changes: _Changes) -> list[Device]:
    if device.bond is None or isinstance(device.bond.slaves, Unreadable):
        return []
    return [slave for ref in device.bond.slaves if (slave := changes.of(ref))]


def _with_xdp(q: Asked, asker: Asker, changes: _Changes) -> None:
    what, device = q.what, q.device
    mode = _mode(asker, device, what.mode)
    program: Optional[XdpProgram] = None
    if isinstance(what, Attach):
        program = _NEW._replace(frags=what.frags, via=what.via)
    if mode == "driver":
        frags = None if program is None else what.frags
        for one in (device, *_slaves(device, changes)):
            _native(q, one, frags, changes)
    if mode == "driver" and device.driver.name == "virtio_net":
        changes.change(device, queues=_with_xdp_queues(q, device, program is not None))
    changed: dict[str, Any] = {mode: program}
    changes.change(device, xdp=device.xdp._replace(**changed))


def _with_xdp_queues(q: Asked, device: Device, attached: bool) -> Queues:
    # virtnet_xdp_set(): one more queue pair for each CPU, if there are as many.
    rx, tx = device.queues
    real = tx.real
    cpus = q.kernel.nr_cpu_ids
    if attached and not isinstance(real, Unreadable):
        if isinstance(cpus, Unreadable) or isinstance(rx.allocated, Unreadable):
            return Queues(rx._replace(real=Unreadable("XDP may add RX queues")), tx)
        if real + cpus <= rx.allocated:
            real += cpus
    return Queues(rx._replace(real=real), tx)


def _mode(asker: Asker, device: Device, mode: str) -> str:
    if mode != "default":
        return mode
    question = asker.predictor.questions.question(device, "netlink", 0, None)
    return question.mode


def _released(q: Asked, changes: _Changes) -> Device:
    # Return the device once its master, if it has one, has released it.
    device, old = q.device, q.device.master
    if not isinstance(old, DeviceRef):
        return device
    former = former_of(q, old)
    if changes.of(old) is not None:
        changes.change(former, **_without(former, device))
    if former.bond is not None and former.xdp.driver is not None:
        # The slave loses the program of the bond.
        _native(q, device, None, changes)
    left = after_leaving(changes.of(device.ref) or device, former)
    changes.replace(left)
    return left


def _enslaved(q: Asked, changes: _Changes) -> None:
    master = master_of(q)
    device = _released(q, changes)
    if master is None:
        return
    others = need_of(device, device.uppers, "adj_list.upper")
    changes.change(
        device,
        master=master.ref,
        uppers=(master.ref, *others),
        traits=device.traits._replace(rx_handler=True),
    )
    if master.bond is not None and device.mtu != master.mtu:
        changes.change(device, mtu=master.mtu)
    if changes.of(master.ref) is None:
        return  # A new one, of which the Snapshot knows nothing.
    lowers = (*need_of(master, master.lowers, "adj_list.lower"), device.ref)
    changes.change(master, lowers=lowers)
    if master.bond is not None:
        changes.change(master, bond=master.bond._replace(slaves=lowers))
        program = need_of(master, master.xdp.driver, "driver program")
        if program is not None:
            _native(q, device, program.frags is True, changes)
    elif master.kind == "bridge":
        why = Unreadable("a bridge may take the smallest MTU of its ports")
        changes.change(master, mtu=why)


def _without(master: Device, port: Device) -> dict[str, Any]:
    def left(refs: Any) -> Any:
        if isinstance(refs, Unreadable):
            return refs
        return tuple(ref for ref in refs if ref.net_device != port.net_device)

    changed: dict[str, Any] = {"lowers": left(master.lowers)}
    if master.bond is not None:
        changed["bond"] = master.bond._replace(slaves=left(master.bond.slaves))
    return changed


def _moved(q: Asked, changes: _Changes) -> None:
    target = target_of(q)
    device = q.device
    netns: Maybe[int] = Unreadable("it is new") if target is None else target.inum
    if netns == device.netns:
        return
    ifindex: Maybe[int] = Unreadable("the kernel chooses it")
    if q.what.ifindex:
        takes = q.kernel.netns_ifindex
        if isinstance(takes, Unreadable):
            ifindex = takes
        elif takes:
            ifindex = q.what.ifindex
    # dev_close(), and NETDEV_UNREGISTER, at which its master releases it, and
    # xsk_notifier() (net/xdp/xsk.c) unbinds its sockets.
    need_of(device, device.flags, "flags")
    changes.replace(without_up(_released(q, changes)))
    changes.change(
        device,
        netns=netns,
        netns_label="new" if target is None else target.label,
        ifindex=ifindex,
        addresses=(),
        xsk_queues=(),
        af_xdp=(),
    )


def _bound(q: Asked, changes: _Changes) -> None:
    queues = need_of(q.device, q.device.xsk_queues, "AF_XDP queues")
    now = tuple(sorted({*queues, q.what.queue & 0xFFFF}))
    changes.change(q.device, xsk_queues=now)


def after(
    snapshot: Snapshot, question: Question, asker: Optional[Asker] = None
) -> Snapshot:
    """
    Return the Snapshot after a question was granted. Whether it would be granted is not
    asked: see :func:`.asking.ask()`.

    :param asker: One of the same Snapshot, if there is one already
    :raises CannotTell: if a value is missing without which it is not known what the
        request does
    :raises LookupError: if the Snapshot does not have the device
    """
    if asker is None:
        asker = Asker(snapshot)
    q = asker.asked(question)
    what = question.what
    changes = _Changes(snapshot)
    if isinstance(what, Channels):
        _channels(q, snapshot, changes)
    elif isinstance(what, Mtu):
        _mtu(q.device, what.mtu, changes)
    elif isinstance(what, (Attach, Detach)):
        _with_xdp(q, asker, changes)
    elif isinstance(what, Enslave):
        _enslaved(q, changes)
    elif isinstance(what, Move):
        _moved(q, changes)
    elif isinstance(what, Bind):
        _bound(q, changes)
    return changes.snapshot()
