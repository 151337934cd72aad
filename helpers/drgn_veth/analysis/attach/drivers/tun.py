# SPDX-License-Identifier: LGPL-2.1-or-later
"""tun_xdp_set() (drivers/net/tun.c)."""

from ..driver_decisions import DriverDecisions

__all__ = ("DRIVER",)

DRIVER = DriverDecisions("tun", "tun_xdp", "tun_xdp_set")
