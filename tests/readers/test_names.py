# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is public: the kernel's names and those before them, and what a reader is."""

import importlib
import inspect
import re
from types import ModuleType

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


READERS = [
    importlib.import_module(f"drgn_veth.readers.{name}")
    for name in drgn_veth.readers.__all__
]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_reader_is_one(reader: ModuleType) -> None:
    """It says what of it would go upstream, and raises what it cannot read."""
    assert re.search(r"^Upstream: \S", reader.__doc__ or "", re.MULTILINE)
    for name in reader.__all__:
        exported = getattr(reader, name)
        if inspect.isfunction(exported):
            returned = inspect.signature(exported).return_annotation
            assert "Unreadable" not in str(returned)
            said = exported.__doc__ or ""
            for parameter in inspect.signature(exported).parameters:
                # That of takes_program_or_default() is the same everywhere.
                assert f":param {parameter}:" in said or parameter == "prog", name
            if returned in (int, "int", "Object"):
                assert ":return:" in said, name
