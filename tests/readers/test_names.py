# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public names: the kernel's, and those that they had before."""

import drgn.helpers.linux
import drgn_veth
import pytest

BEFORE = {
    "bpf_prog_dev_bound": "bpf_prog_is_dev_bound",
    "bpf_prog_offload_requested": "bpf_prog_is_offloaded",
    "netdev_flags": "dev_get_flags",
    "netdev_lowers": "netdev_for_each_lower_dev",
    "netdev_master": "netdev_master_upper_dev_get",
    "netdev_net": "dev_net",
    "netdev_uppers": "netdev_for_each_upper_dev",
    "netdev_xdp_link": "dev_xdp_link",
    "netdev_xdp_prog": "dev_xdp_prog",
}


@pytest.mark.parametrize(("before", "now"), BEFORE.items())
def test_old_names_stay(before: str, now: str) -> None:
    assert {before, now} <= set(drgn_veth.__all__)
    assert getattr(drgn_veth, before) is getattr(drgn_veth, now)


def test_nothing_of_drgn_is_hidden() -> None:
    """At a prompt, both are imported with an asterisk."""
    assert "possible_cpus" in drgn_veth.__all__
    assert not set(drgn_veth.__all__) & set(dir(drgn.helpers.linux))
