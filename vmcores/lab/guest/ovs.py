#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make a datapath of Open vSwitch, without its daemon.

Use: ``ovs.py DATAPATH DEVICE...``. The devices become its ports.
"""

from __future__ import annotations

from collections.abc import Sequence
import socket
import struct
import sys

from netlink import GenericSocket, attribute

__all__ = ("main",)

OVS_DP_CMD_NEW = 1
OVS_DP_ATTR_NAME = 1
OVS_DP_ATTR_UPCALL_PID = 2
OVS_VPORT_CMD_NEW = 1
OVS_VPORT_ATTR_TYPE = 2
OVS_VPORT_ATTR_NAME = 3
OVS_VPORT_ATTR_UPCALL_PID = 5
OVS_VPORT_TYPE_NETDEV = 1


def _name(kind: int, name: str) -> bytes:
    return attribute(kind, name.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return attribute(kind, struct.pack("<I", number))


def main(arguments: Sequence[str]) -> int:
    """Make the datapath and its ports."""
    datapath, *ports = arguments
    asker = GenericSocket()
    try:
        asker.command(
            asker.family("ovs_datapath"),
            OVS_DP_CMD_NEW,
            struct.pack("<i", 0)
            + _name(OVS_DP_ATTR_NAME, datapath)
            + _number(OVS_DP_ATTR_UPCALL_PID, 0),
        )
        vports = asker.family("ovs_vport")
        ifindex = socket.if_nametoindex(datapath)
        for port in ports:
            asker.command(
                vports,
                OVS_VPORT_CMD_NEW,
                struct.pack("<i", ifindex)
                + _number(OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_NETDEV)
                + _name(OVS_VPORT_ATTR_NAME, port)
                + _number(OVS_VPORT_ATTR_UPCALL_PID, 0),
            )
    except OSError as e:
        print(f"ovs.py: {e}", file=sys.stderr)
        return 1
    finally:
        asker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
