# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Masters
-------

do_set_master() (net/core/rtnetlink.c), br_add_if() (net/bridge/br_if.c) and
bond_enslave() (drivers/net/bonding/bond_main.c).
"""

from typing import Optional

from ...core.unreadable import Unreadable
from ...model import Bond, Device, DeviceRef, QueueCount, Queues, Xdp, XdpProgram
from ..attach.ask import fresh_program
from ..attach.decision import Decision, first
from ..attach.drivers import DRIVERS, decide_in_driver
from ..attach.drivers.bonding import BOND_SLAVE
from ..attach.question import DRV, MODE_FLAGS, Answer, Question, refusal
from ..names import name_of
from ..need import CannotTell, need_of
from . import mtu
from .asked import Asked, granted, one_of
from .request import Enslave, Mtu

__all__ = (
    "BOND",
    "BRIDGE",
    "LEAVE",
    "LINK",
    "MASTER",
    "after_leaving",
    "ask",
    "former_of",
    "master_of",
    "new_master",
    "without_up",
)

_OTHER_TYPE = "Device type is different from other slaves"
_ARPHRD_ETHER = 1
_ARPHRD_CAN = 280
_NO_QUEUES = Queues(QueueCount(0, 0), QueueCount(0, 0))


def new_master(kind: str, program: bool) -> Device:
    """
    Return a master as the kernel makes it: without ports.

    :param kind: ``bond`` or ``bridge``
    :param program: Whether it has a native XDP program
    """
    driver = DRIVERS.get(kind)
    attached = XdpProgram(0, "", "", "netlink", None, True, False, 0, 0)
    blank = Device(
        0, 0, f"new {kind}", (), None, 0, kind, (), "DOWN", "REGISTERED", 1500, 68,
        65535, None, None, (), None, (), (), _NO_QUEUES, None,
        Xdp(None, attached if program else None, None, None), (), (),
    )  # fmt: skip
    return blank._replace(
        bond=Bond("balance-rr", "layer2", ()) if kind == "bond" else None,
        driver=blank.driver._replace(
            name=kind, ndo_bpf=driver is not None, ndo_add_slave=True
        ),
    )


def master_of(q: Asked) -> Optional[Device]:
    """
    Return the master that a device is to get; None: none.

    :raises CannotTell: if there is none with this name
    """
    what = q.what
    if what.master is None:
        return None
    if what.new:
        return new_master(what.master, what.program)
    for device in q.snapshot.devices:
        if device.netns == q.device.netns and device.off_list is None:
            if device.name == what.master:
                return device
    raise CannotTell(f"there is no {what.master!r} in the namespace of {q.name}")


def _known(q: Asked) -> Device:
    master = master_of(q)
    assert master is not None
    return master


def _is_above(q: Asked, device: Device, master: int) -> bool:
    # Whether a device is on top of the master, at any level.
    seen: set[int] = set()
    waiting = [device]
    while waiting:
        here = waiting.pop()
        for ref in need_of(here, here.lowers, "lowers"):
            if ref.net_device == master:
                return True
            if ref.net_device not in seen:
                seen.add(ref.net_device)
                waiting.append(q.device_at(ref))
    return False


def _loop(q: Asked) -> Optional[str]:
    master = _known(q)
    if q.what.new or not _is_above(q, q.device, master.net_device):
        return None
    return f"{q.name} is on top of {name_of(master)} itself"


#: __netdev_upper_dev_link(), which comes last.
LINK: tuple[Decision, ...] = (
    Decision(
        "master-loop",
        "__netdev_upper_dev_link",
        "EBUSY",
        None,
        _loop,
        compares="whether the device is on top of the master",
        mend="choose another master",
    ),
)


def _stuck(q: Asked) -> Optional[str]:
    current = need_of(q.device, q.device.master, "master")
    if current is None or not current.net_device:  # new_master()
        return None
    now = q.device_at(current)
    # A driver without ndo_add_slave has no ndo_del_slave either.
    if need_of(now, now.driver.ndo_add_slave, "ndo_add_slave"):
        return None
    return f"its master {name_of(now)} lets no port go: its driver has no ndo_del_slave"


#: do_set_master(), of a port.
LEAVE: tuple[Decision, ...] = (
    Decision(
        "master-keeps",
        "do_set_master",
        "EOPNOTSUPP",
        None,
        _stuck,
        compares="whether the driver of the current master has ndo_del_slave",
        mend="use the tool that made it a port, such as ovs-vsctl del-port",
    ),
)


def former_of(q: Asked, ref: DeviceRef) -> Device:
    """
    Return the master that a port leaves.

    :raises CannotTell: if it was not found
    """
    if ref.net_device:
        return q.device_at(ref)
    # One of new_master(), of which the Snapshot knows nothing.
    return new_master(str(ref.name).partition(" ")[2], False)


def after_leaving(device: Device, former: Device) -> Device:
    """
    Return a device as it is once its master has released it: do_set_master() calls
    ndo_del_slave of the old master before ndo_add_slave of the new one.

    :param former: The master: see :func:`former_of()`
    """
    kind = former.kind
    uppers = device.uppers
    if not isinstance(uppers, Unreadable):
        address = former.net_device
        uppers = tuple(ref for ref in uppers if ref.net_device != address)
    left = device._replace(master=None, uppers=uppers)
    if kind != "vrf":  # It has no rx_handler: another device on top may have it.
        left = left._replace(traits=device.traits._replace(rx_handler=False))
    if kind not in ("bond", "team"):
        return left
    # __bond_release_one() and team_port_del() call dev_close() and dev_set_mtu().
    what = "leaving its master restores an earlier MTU, which is not known"
    return without_up(left)._replace(mtu=Unreadable(what))


def without_up(device: Device) -> Device:
    """Return a device after dev_close()."""
    flags = device.flags
    if isinstance(flags, Unreadable):
        return device
    down = tuple(f for f in flags if f not in ("UP", "RUNNING", "LOWER_UP"))
    return device._replace(flags=down)


def _no_add_slave(q: Asked) -> Optional[str]:
    master = _known(q)
    if need_of(master, master.driver.ndo_add_slave, "ndo_add_slave"):
        return None
    return f"{name_of(master)} takes no ports: its driver has no ndo_add_slave"


#: do_set_master().
MASTER: tuple[Decision, ...] = (
    Decision(
        "master-none",
        "do_set_master",
        "EOPNOTSUPP",
        None,
        _no_add_slave,
        compares="whether the driver of the master has ndo_add_slave",
        mend="choose a bond, bridge, team or VRF",
    ),
)


def _no_bridge_port(q: Asked) -> Optional[str]:
    device, traits = q.device, q.device.traits
    if "LOOPBACK" in need_of(device, device.flags, "flags"):
        return f"{q.name} is a loopback device"
    if need_of(device, traits.type, "type") != _ARPHRD_ETHER:
        return f"the type of {q.name} is {traits.type}, not Ethernet"
    if need_of(device, traits.addr_len, "addr_len") != 6:
        return f"the address of {q.name} has {traits.addr_len} bytes, not 6"
    mac = need_of(device, device.mac, "the address")
    if not mac or int(mac[:2], 16) & 1 or not mac.strip("0:"):
        return f"{mac} of {q.name} is no valid Ethernet address"
    return None


def _bridge(q: Asked) -> Optional[str]:
    return f"{q.name} is a bridge" if q.driver_name == "bridge" else None


def _dont_bridge(q: Asked) -> Optional[str]:
    dont = q.device.traits.dont_bridge
    if need_of(q.device, dont, "IFF_DONT_BRIDGE"):
        return f"{q.name} has IFF_DONT_BRIDGE"
    return None


def _handled(q: Asked) -> Optional[str]:
    if need_of(q.device, q.device.traits.rx_handler, "rx_handler"):
        return f"{q.name} already has an rx_handler, such as that of a macvlan"
    return None


def _no_handler(q: Asked) -> Optional[str]:
    if need_of(q.device, q.device.traits.no_rx_handler, "IFF_NO_RX_HANDLER"):
        return f"{q.name} has IFF_NO_RX_HANDLER"
    return None


#: br_add_if(), in its order.
BRIDGE: tuple[Decision, ...] = (
    Decision(
        "bridge-ethernet",
        "br_add_if",
        "EINVAL",
        None,
        _no_bridge_port,
        compares="whether the device is like Ethernet, and not lo",
    ),
    Decision(
        "bridge-loop",
        "br_add_if",
        "ELOOP",
        "Can not enslave a bridge to a bridge",
        _bridge,
        compares="whether the device is a bridge",
        mend="join two bridges by a veth pair",
    ),
    Decision(
        "bridge-dont",
        "br_add_if",
        "EOPNOTSUPP",
        "Device does not allow enslaving to a bridge",
        _dont_bridge,
        compares="whether the driver set IFF_DONT_BRIDGE, as macvlan and ipvlan do",
    ),
    Decision(
        "bridge-busy",
        "netdev_rx_handler_register",
        "EBUSY",
        None,
        _handled,
        compares="whether something else takes the packets: a macvlan, an ipvlan",
        mend="remove the devices on top of it first",
    ),
    Decision(
        "bridge-no-handler",
        "netdev_rx_handler_register",
        "EINVAL",
        None,
        _no_handler,
        compares="whether the driver set IFF_NO_RX_HANDLER",
    ),
)


def _can(q: Asked) -> Optional[str]:
    if need_of(q.device, q.device.traits.type, "type") == _ARPHRD_CAN:
        return f"{q.name} is a CAN device"
    return None


def _other_master(q: Asked) -> Optional[str]:
    flags = need_of(q.device, q.device.flags, "flags")
    if "MASTER" in flags and q.driver_name != "bond":
        return f"{q.name} is a master itself"
    return None


def _itself(q: Asked) -> Optional[str]:
    master = _known(q)
    same = master.net_device == q.device.net_device
    return f"{q.name} is the bond" if same else None


def _up(q: Asked) -> Optional[str]:
    up = "UP" in need_of(q.device, q.device.flags, "flags")
    return f"{q.name} is up" if up else None


#: bond_enslave() up to where it changes the device, in its order.
BOND: tuple[Decision, ...] = (
    Decision(
        "bond-can",
        "bond_enslave",
        "EPERM",
        "CAN devices cannot be enslaved",
        _can,
        in_kernel=lambda kernel: None,
        compares="whether the device is for a CAN bus",
        kernels="some since v6.1",
    ),
    Decision(
        "bond-master",
        "bond_enslave",
        "EPERM",
        "Device type (master device) cannot be enslaved",
        _other_master,
        in_kernel=lambda kernel: None,
        compares="whether the device is a master, and no bond",
        kernels="not v5.10",
    ),
    Decision(
        "bond-busy",
        "bond_enslave",
        "EBUSY",
        "Device is in use and cannot be enslaved",
        _handled,
        compares="whether something else takes the packets: a macvlan, an ipvlan",
        mend="remove the devices on top of it first",
    ),
    Decision(
        "bond-itself",
        "bond_enslave",
        "EPERM",
        "Cannot enslave bond to itself.",
        _itself,
        compares="whether the device is the bond",
    ),
    Decision(
        "bond-up",
        "bond_enslave",
        "EPERM",
        "Device can not be enslaved while up",
        _up,
        compares="whether the device is up",
        mend="ip link set dev DEVICE down",
    ),
)


def _ask_bond(q: Asked, master: Device) -> Answer:
    # Whether a kernel makes the decisions that not every one makes is not read.
    sure = tuple(decision for decision in BOND if decision.everywhere)
    newer, older = first(q, BOND), first(q, sure)
    if newer is not None and older is not None:
        return one_of((newer, older), newer)
    if newer is None:
        return _ask_late(q, master)
    try:
        accepted = _ask_late(q, master)
    except CannotTell as e:
        accepted = Answer(None, None, None, str(e))
    return one_of((newer, older), accepted)


def _ask_late(q: Asked, master: Device) -> Answer:
    # What bond_enslave() decides while it changes the device.
    traits = q.device.traits
    if need_of(q.device, traits.type, "type") != need_of(
        master, master.traits.type, "type"
    ):
        if master.bond is not None and need_of(master, master.bond.slaves, "slaves"):
            why = f"{q.name} is of another type than the slaves of {name_of(master)}"
            return refusal("EINVAL", _OTHER_TYPE, "bond_enslave", why)
        why = f"the bond would become like {q.name}, whose driver has the final say"
        return Answer(None, None, None, why)
    wanted = need_of(master, master.mtu, "mtu")
    answer = mtu.ask(q.asked_of(q.device, Mtu(wanted)))
    if answer.errno != 0:
        because = f"its MTU would become {wanted}: {answer.because}"
        return answer._replace(because=because, message=None)
    refused = first(q, (*BRIDGE[-1:], *LINK))
    if refused is not None:
        return refused
    if q.driver_name == "vlan":
        lower = q.lower()
        if "UP" not in need_of(lower, lower.flags, "flags"):
            raise CannotTell(f"{q.name} may not come up: {name_of(lower)} is down")
    program = need_of(master, master.xdp.driver, "driver program")
    if program is None:
        return granted("bond_enslave", f"{q.name} is down and free")
    # It gets the program of the bond.
    slave = Question(
        q.kernel, q.by_address, q.fixes, q.device, "netlink", MODE_FLAGS[DRV],
        fresh_program(program.frags is True), above=(master.net_device,),
    )  # fmt: skip
    return _renamed(first(slave, BOND_SLAVE) or decide_in_driver(slave))


def _renamed(answer: Answer) -> Answer:
    if answer.function != "bond_xdp_set":
        return answer
    if answer.decision is not None and answer.decision[0] == "slave-operations":
        answer = answer._replace(message="Slave does not support XDP")
    return answer._replace(function="bond_enslave")


def ask(q: Asked) -> Answer:
    """
    Return the answer to RTM_SETLINK with IFLA_MASTER.

    :raises CannotTell: if a value is missing
    """
    assert isinstance(q.what, Enslave)
    master = master_of(q)
    current = need_of(q.device, q.device.master, "master")
    if master is not None and current is not None and not q.what.new:
        if current.net_device == master.net_device:
            return granted("do_set_master", f"{q.name} is a port of it already")
    kept = first(q, LEAVE)
    if kept is not None:
        return kept
    if master is None:
        words = "has no master" if current is None else "leaves its master"
        return granted("do_set_master", f"{q.name} {words}")
    refused = first(q, MASTER)
    if refused is not None:
        return refused
    if current is not None:
        q = q.with_device(after_leaving(q.device, former_of(q, current)))
    kind = master.kind
    if isinstance(kind, Unreadable):
        raise CannotTell("kind of the master", kind)
    if kind == "bond":
        return _ask_bond(q, master)
    if kind == "bridge":
        return first(q, (*BRIDGE, *LINK)) or granted(
            "br_add_if", f"{q.name} is like Ethernet, and nothing takes its packets"
        )
    why = f"driver {kind} of the master has the final say"
    return Answer(None, None, None, why)
