# SPDX-License-Identifier: LGPL-2.1-or-later
"""GRO: ``napi_gro_receive()``, and what ``netif_elide_gro()`` looks at."""

from ...core.netdev_features import NETIF_F_GRO
from ...core.unreadable import Unreadable
from ...model import Device
from .trail import Trail

__all__ = ("gro",)


def gro(trail: Trail, device: Device) -> None:
    """Add the step of GRO to a packet that a NAPI has received."""
    trail.unsent = True
    features = device.features.features
    function = "napi_gro_receive"
    if isinstance(features, Unreadable):
        text = f"features could not be read: {features.reason}"
        trail.add("gro", function, device, text, on=features)
    elif not features & NETIF_F_GRO:
        trail.add("gro", function, device, "GRO off", on=False)
    elif isinstance(device.xdp.generic, Unreadable):
        text = f"the generic program could not be read: {device.xdp.generic.reason}"
        trail.add("gro", function, device, text, on=device.xdp.generic)
    elif device.xdp.generic is not None:
        text = "GRO skipped: the device has a generic program"
        trail.add("gro", function, device, text, on=False)
    else:
        text = "GRO on: packets of a flow become one"
        trail.add("gro", function, device, text, on=True)
