# SPDX-License-Identifier: LGPL-2.1-or-later
"""bond_xdp_set() (drivers/net/bonding/bond_main.c)."""

from typing import Optional

from ....core import messages
from ....core.english import count
from ....model import Bond
from ...names import name_of
from ...need import CannotTell, need_of
from ...remedies import Remedy
from ..decision import (
    Decision,
    all_modes,
    first,
    fix_tcp_data_split,
    memory_provider,
    tcp_data_split,
)
from ..driver_decisions import Decide, DriverDecisions
from ..question import Answer, Question

__all__ = ("BOND_SLAVE", "DRIVER")

#: bond_release() also restores the slave's own MTU and MAC.
_LEAVES = "takes the slave out of the bond and sets it down"
_BOND_XDP_MODES = ("balance-rr", "active-backup")
_BOND_XDP_HASH_MODES = ("802.3ad", "balance-xor")


def _bond(q: Question) -> Bond:
    if q.device.bond is None:
        raise CannotTell(f"the private data of bond {q.name} was not read")
    return q.device.bond


def _bond_mode(q: Question) -> Optional[str]:
    bond = _bond(q)
    mode = need_of(q.device, bond.mode, "params.mode")
    if mode in _BOND_XDP_MODES:
        return None
    if mode in _BOND_XDP_HASH_MODES:
        policy = need_of(q.device, bond.xmit_policy, "params.xmit_policy")
        if policy != "vlan+srcmac":
            return None
        mode = f"{mode} with xmit_hash_policy {policy}"
    return f"bond {q.name} is in mode {mode}"


_DECISIONS: tuple[Decision, ...] = (
    # Since Linux kernel commit ("bonding: return detailed error when loading native XDP
    # fails") (in v6.13 and stable kernels), it says why.
    Decision(
        "bond-mode",
        "bond_xdp_set",
        "EOPNOTSUPP",
        messages.BOND_MODE,
        _bond_mode,
        may_be_silent=True,
        compares=(
            "the mode of the bond: balance-rr, active-backup, 802.3ad and balance-xor "
            "can have native XDP, the last two not with xmit_hash_policy vlan+srcmac"
        ),
        mend=(
            "change the mode of the bond, or use generic mode: ip link set dev BOND "
            "xdpgeneric obj FILE"
        ),
        kernels="since v5.15; its message since v6.13 and in stable kernels",
        modes=("default", "driver"),
    ),
)


def _slave_operations(q: Question) -> Optional[str]:
    driver = q.device.driver
    for name, there in (
        ("ndo_bpf", driver.ndo_bpf),
        ("ndo_xdp_xmit", driver.ndo_xdp_xmit),
    ):
        if not need_of(q.device, there, name):
            return f"the driver of slave {q.name} has no {name}"
    return None


def _slave_program(q: Question) -> Optional[str]:
    programs = q.program_count(q.device)
    if programs:
        return f"slave {q.name} has {count(programs, 'XDP program')}"
    return None


#: Of each slave, in order.
BOND_SLAVE: tuple[Decision, ...] = (
    Decision(
        "slave-operations",
        "bond_xdp_set",
        "EOPNOTSUPP",
        "Slave device does not support XDP",
        _slave_operations,
        lambda q: Remedy(q.fixes.no_master(q.device.ref), _LEAVES),
        compares="whether the driver of each slave has ndo_bpf and ndo_xdp_xmit",
        mend=(
            "remove that slave: ip link set dev SLAVE nomaster; or use generic mode on "
            "the bond"
        ),
        kernels="since v5.15",
        modes=("default", "driver"),
    ),
    Decision(
        "slave-program",
        "bond_xdp_set",
        "EOPNOTSUPP",
        "Slave has XDP program loaded, please unload before enslaving",
        _slave_program,
        lambda q: Remedy(q.fixes.detach_all(q.device)),
        lambda q: all_modes(q.device),
        compares="whether a slave has an XDP program of its own",
        mend="detach the program of the slave",
        kernels="since v5.15",
        modes=("default", "driver"),
    ),
    # dev_xdp_propagate(), in kernels that have what they ask for.
    Decision(
        "slave-tcp-data-split",
        "dev_xdp_propagate",
        "EBUSY",
        "unable to propagate XDP to device using tcp-data-split",
        tcp_data_split,
        fix_tcp_data_split,
        compares=(
            "tcp-data-split of each slave: with it on, only programs with fragments "
            "are accepted"
        ),
        mend="load the program with fragments, or: ethtool -G SLAVE tcp-data-split off",
        kernels="since v6.14",
        modes=("default", "driver"),
    ),
    Decision(
        "slave-memory-provider",
        "dev_xdp_propagate",
        "EBUSY",
        "unable to propagate XDP to device using memory provider",
        memory_provider,
        compares="whether an RX queue of a slave has a memory provider",
        mend="stop the process that took the queue",
        kernels="since v6.11 or v6.12",
        modes=("default", "driver"),
    ),
)


def _ask_slaves(q: Question, decide: Decide) -> Answer:
    bond = _bond(q)
    slaves = 0
    for ref in need_of(q.device, bond.slaves, "slaves"):
        if ref.net_device in (*q.above, q.device.net_device):
            raise CannotTell(f"{name_of(ref)} is a slave of itself")
        if ("slave-operations", ref.net_device) in q.passed:
            continue  # It is no slave any more.
        slave = q.about(q.device_at(ref))
        answer = first(slave, BOND_SLAVE)
        if answer is None:
            answer = decide(slave)
        if answer.errno != 0:
            if answer.errno is None and not answer.either:
                because = (
                    f"slave {slave.name}: {answer.because}. EOPNOTSUPP may come from "
                    "bonding itself; any other errno, such as EINVAL, can only come "
                    "from ndo_bpf of a slave"
                )
                return answer._replace(because=because)
            if answer.errno is None:
                return answer
            because = f"slave {slave.name}: {answer.because}"
            return answer._replace(because=because)
        slaves += 1
    words = f"accepted by {count(slaves, 'slave')}" if slaves else "it has no slaves"
    return q.accepted("bond_xdp_set", words)


DRIVER = DriverDecisions("bond", "bond_xdp", "bond_xdp_set", _DECISIONS, _ask_slaves)
