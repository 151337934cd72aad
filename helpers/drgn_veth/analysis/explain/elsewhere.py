# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Answers that no decision gives
------------------------------

Refusals before and after the decisions of :mod:`drgn_veth.analysis.attach`: the
predictor gives some of them itself, and cannot predict the others.
"""

from ..attach.drivers import DRIVERS
from .check import Check

__all__ = ("BEFORE", "NO_OFFLOAD", "UNPREDICTED")

#: What the predictor answers before it asks a decision.
BEFORE: tuple[Check, ...] = (
    Check(
        key="no-device",
        errno="ENODEV",
        message=None,
        function="__dev_get_by_index",
        place="the core",
        compares="whether the device is on the list of its network namespace: while it "
        "is being deleted or moved, it is not",
        mend="ask again later",
        via="netlink",
    ),
    Check(
        key="no-device-for-link",
        errno="EINVAL",
        message=None,
        function="bpf_xdp_link_attach",
        place="the core",
        compares="whether the device is on the list of its network namespace: while it "
        "is being deleted or moved, it is not; nor is it in the caller's namespace if "
        "that is another one",
        mend="ask again later; call from the namespace of the device",
        via="link",
    ),
    Check(
        key="no-frags",
        errno="EINVAL",
        message=None,
        function="bpf_prog_load",
        place="the core",
        compares="whether the kernel knows programs with fragments (section xdp.frags)",
        mend="load the program without fragments",
        kernels="before v5.18",
    ),
    Check(
        key="link-detached",
        errno="ENOLINK",
        message=None,
        function="bpf_xdp_link_update",
        place="the core",
        compares="whether the link that is to be updated is still attached to a device",
        mend="make a new link",
        via="link",
    ),
)

#: Of each driver that is known; its function has the driver's name for it.
NO_OFFLOAD = Check(
    key="no-offload",
    errno="EINVAL",
    message=None,
    function=", ".join(f"{driver.ndo_bpf}()" for driver in DRIVERS.values())[:-2],
    place=f"drivers {', '.join(DRIVERS)}",
    compares="the command: these drivers know XDP_SETUP_PROG, but not "
    "XDP_SETUP_PROG_HW. Only a few network cards can run a program themselves",
    mend="use another mode",
    modes=("offload",),
)

#: What depends on the caller, or on memory, and so is not in any dump.
UNPREDICTED: tuple[Check, ...] = (
    Check(
        key="no-permission",
        errno="EPERM",
        message=None,
        function="rtnetlink_rcv_msg",
        place="the core",
        compares="whether the caller has CAP_NET_ADMIN in the user namespace that owns "
        "the network namespace",
        mend="run it as root; in a container: with that capability",
        via="netlink",
        predicted=False,
    ),
    Check(
        key="no-file",
        errno="EBADF",
        message=None,
        function="bpf_prog_get_type_dev",
        place="the core",
        compares="whether the file descriptor of the program is open",
        mend="load the program first, and keep it open or pinned",
        predicted=False,
    ),
    Check(
        key="no-xdp-program",
        errno="EINVAL",
        message=None,
        function="bpf_prog_get_type_dev",
        place="the core",
        compares="whether the file descriptor is that of a program of type XDP",
        mend="load it with a section that begins with xdp",
        predicted=False,
    ),
    Check(
        key="veth-setup",
        errno="ENOMEM",
        message="veth: Setup for XDP failed",
        function="veth_xdp_set",
        place="driver veth",
        compares="whether there is memory for a ring, and in newer kernels a page "
        "pool, for each RX queue; only while the device is up",
        mend="free memory, or use fewer queues",
        modes=("default", "driver"),
        predicted=False,
    ),
)
