# SPDX-License-Identifier: LGPL-2.1-or-later
"""The target."""

from collections.abc import Iterator

from .comparison import Told
from .said import Truth, cpu_list

__all__ = ("expected_target",)


def expected_target(truth: Truth) -> Iterator[Told]:
    """Yield what the target has to be."""
    said = truth.said
    yield ("release",), "uname", said["kernel"]["release"]
    yield ("arch",), "uname", said["kernel"]["machine"]
    possible = len(cpu_list(said["cpus"]["possible"]))
    yield ("possible_cpus",), "sysfs", possible
    yield ("online_cpus",), "sysfs", cpu_list(said["cpus"]["online"])
    isolated = set(cpu_list(said["cpus"]["isolated"]))
    ticking = said["cpus"]["nohz_full"]
    if ticking != "(null)" and not isinstance(ticking, dict):  # no CONFIG_NO_HZ_FULL
        isolated.update(cpu_list(ticking))
    yield ("isolated_cpus",), "sysfs", sorted(isolated)
    entries = int(said["sysctl"]["net.core.rps_sock_flow_entries"])
    yield ("rps_sock_flow_entries",), "sysctl", entries
