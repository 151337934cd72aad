# SPDX-License-Identifier: LGPL-2.1-or-later
"""
MTU
---

dev_set_mtu_ext() (net/core/dev.c) and the ``ndo_change_mtu`` of known drivers.
"""

from typing import Optional

from ...core import messages
from ...core.uapi import ETH_MAX_MTU
from ...model import Device
from ..attach.decision import Decision, first
from ..attach.question import Answer
from ..limits import mtu_limit
from ..names import name_of
from ..need import CannotTell, need_of
from .asked import Asked, granted
from .request import Mtu

__all__ = ("BY_DRIVER", "MTU", "ask")


def _too_small(q: Asked) -> Optional[str]:
    limit = need_of(q.device, mtu_limit(q.device, q.what.mtu), "min_mtu or max_mtu")
    if limit != "min_mtu":
        return None
    if q.what.mtu >= 1 << 31:  # The kernel takes it as an int.
        return f"mtu {q.what.mtu - (1 << 32)} < 0"
    return f"mtu {q.what.mtu} < {q.device.min_mtu}, the min_mtu of {q.name}"


def _too_large(q: Asked) -> Optional[str]:
    limit = need_of(q.device, mtu_limit(q.device, q.what.mtu), "max_mtu")
    if limit != "max_mtu":
        return None
    most = need_of(q.device, q.device.max_mtu, "max_mtu")
    why = f"mtu {q.what.mtu} > {most}, the max_mtu of {q.name}"
    if q.driver_name == "veth" and most < ETH_MAX_MTU and q.device.peer:
        why += ": native XDP on its peer limits it"
    return why


def _team_port(q: Asked) -> Optional[str]:
    master = need_of(q.device, q.device.master, "master")
    if master is not None and q.device_at(master).kind == "team":
        return f"{q.name} is a port of {name_of(master)}, which keeps the MTU"
    return None


#: dev_set_mtu_ext(), in its order.
MTU: tuple[Decision, ...] = (
    Decision(
        "mtu-minimum",
        "dev_validate_mtu",
        "EINVAL",
        "mtu less than device minimum",
        _too_small,
        compares="the new MTU with min_mtu of the device",
        mend="ask for a larger one",
    ),
    Decision(
        "mtu-maximum",
        "dev_validate_mtu",
        "EINVAL",
        messages.MTU_MAXIMUM,
        _too_large,
        compares=(
            "the new MTU with max_mtu of the device, which native XDP on a veth "
            "lowers at its peer"
        ),
        mend="ask for a smaller one, or detach the program of the peer",
    ),
    Decision(
        "mtu-team-port",
        "team_device_event",
        "EPERM",
        None,
        _team_port,
        compares="whether the device is a port of a team, which keeps the MTU",
        mend="change the MTU of the team",
    ),
)


def _above(q: Asked, lower: Device, less: int = 0) -> Optional[str]:
    most = need_of(lower, lower.mtu, "mtu") - less
    if q.what.mtu > most:
        return f"mtu {q.what.mtu} > {most} of {name_of(lower)}, which {q.name} lies on"
    return None


def _vlan(q: Asked) -> Optional[str]:
    real = q.lower()
    # VLAN_HLEN: netif_reduces_vlan_mtu()
    return _above(q, real, 4 if real.kind == "macsec" else 0)


def _macvlan(q: Asked) -> Optional[str]:
    return _above(q, q.lower())


_MACVLAN = (
    Decision(
        "mtu-macvlan",
        "macvlan_change_mtu",
        "EINVAL",
        None,
        _macvlan,
        compares="the new MTU of a macvlan with that of the device below it",
        mend="raise the MTU of the device below first",
    ),
)
#: What drivers decide themselves; no decision: they take any.
BY_DRIVER: dict[str, tuple[Decision, ...]] = {
    "vlan": (
        Decision(
            "mtu-vlan",
            "vlan_dev_change_mtu",
            "ERANGE",
            None,
            _vlan,
            compares="the new MTU of a VLAN device with that of the device below it",
            mend="raise the MTU of the device below first",
        ),
    ),
    "macvlan": _MACVLAN,
    "macvtap": _MACVLAN,
    "bridge": (),
    "geneve": (),
}


def _ask_slaves(q: Asked) -> Optional[Answer]:
    if q.device.bond is None:
        raise CannotTell(f"the private data of bond {q.name} was not read")
    for ref in need_of(q.device, q.device.bond.slaves, "slaves"):
        if ref.net_device in (*q.above, q.device.net_device):
            raise CannotTell(f"{name_of(ref)} is a slave of itself")
        slave = q.asked_of(q.device_at(ref))
        answer = ask(slave)
        if answer.errno != 0:
            # Its message is in another extended ACK, which the kernel does not send.
            because = f"slave {slave.name}: {answer.because}"
            return answer._replace(because=because, message=None)
    return None


def ask(q: Asked) -> Answer:
    """
    Return the answer to RTM_SETLINK with IFLA_MTU.

    :raises CannotTell: if a value is missing
    """
    assert isinstance(q.what, Mtu)
    now = need_of(q.device, q.device.mtu, "mtu")
    if q.what.mtu == now:
        return granted("dev_set_mtu_ext", f"{q.name} has mtu {now} already")
    refused = first(q, MTU)
    if refused is not None:
        return refused
    if need_of(q.device, q.device.driver.ndo_change_mtu, "ndo_change_mtu"):
        name = q.driver_name
        if name == "bond":
            answer = _ask_slaves(q)
        elif name in BY_DRIVER:
            answer = first(q, BY_DRIVER[name])
        else:
            why = f"driver {name} has the final say about its MTU"
            return Answer(None, None, None, why)
        if answer is not None:
            return answer
    least = need_of(q.device, q.device.min_mtu, "min_mtu")
    most = need_of(q.device, q.device.max_mtu, "max_mtu")
    limit = f" <= {most}" if most else ", and there is no max_mtu"
    return granted("dev_set_mtu_ext", f"{least} <= mtu {q.what.mtu}{limit}")
