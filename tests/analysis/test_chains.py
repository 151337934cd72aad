# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chains of devices over all levels, and how they are shown."""

from collections.abc import Mapping, Sequence
import itertools

from drgn_veth.analysis.chains import MOST_LEVELS, Chain, chains_above
from drgn_veth.model import BridgePort, Device, DeviceRef, Vlan
from drgn_veth.render import csv, table

from tests.support.snapshots import BAD, HOST, POD, device, snapshot


def stacked(
    uppers: Mapping[str, tuple[str, ...]], lost: Sequence[str] = ()
) -> dict[str, Device]:
    """Devices by name, each with its uppers; of those in *lost* they are unreadable."""
    names = list(dict.fromkeys([*uppers, *itertools.chain(*uppers.values())]))
    plain = {name: device(HOST, i + 1, name) for i, name in enumerate(names)}
    return {
        name: plain[name]._replace(
            uppers=BAD
            if name in lost
            else tuple(plain[upper].ref for upper in uppers.get(name, ()))
        )
        for name in names
    }


def above(devices: Mapping[str, Device], name: str) -> list[Chain]:
    known = {one.net_device: one for one in devices.values()}
    return list(chains_above(devices[name], known))


def names(chain: Chain) -> list[object]:
    return [ref.name for ref in chain.devices]


def test_over_all_levels() -> None:
    uppers = {"eth0": ("bond0",), "bond0": ("bond0.40",), "bond0.40": ("br0",)}
    devices = stacked(uppers)
    (chain,) = above(devices, "eth0")
    assert names(chain) == ["bond0", "bond0.40", "br0"]
    assert chain.cut is None
    assert [names(chain) for chain in above(devices, "bond0.40")] == [["br0"]]
    assert above(devices, "br0") == []


def test_several_chains() -> None:
    """In the order of the kernel's lists, each up to the top."""
    uppers = {"eth0": ("br0", "eth0.1", "eth0.2"), "eth0.2": ("br1", "mv0")}
    found = [names(chain) for chain in above(stacked(uppers), "eth0")]
    assert found == [["br0"], ["eth0.1"], ["eth0.2", "br1"], ["eth0.2", "mv0"]]


def test_devices_above_each_other() -> None:
    (chain,) = above(stacked({"a": ("b",), "b": ("c",), "c": ("b",)}), "a")
    assert names(chain) == ["b", "c", "b"]
    assert chain.cut == "the devices are above each other"
    (chain,) = above(stacked({"a": ("a",)}), "a")
    assert names(chain) == ["a"]
    assert chain.cut is not None


def test_too_many_levels() -> None:
    uppers = {f"d{i}": (f"d{i + 1}",) for i in range(MOST_LEVELS + 5)}
    (chain,) = above(stacked(uppers), "d0")
    assert len(chain.devices) == MOST_LEVELS
    assert chain.cut == f"more than {MOST_LEVELS} levels"


def test_no_more_chains_than_asked_for() -> None:
    """Sixty devices, each below all later ones, have 2^58 ways to the top."""
    all_names = [f"d{i}" for i in range(60)]
    uppers = {name: tuple(all_names[i + 1 :]) for i, name in enumerate(all_names)}
    devices = stacked(uppers)
    known = {one.net_device: one for one in devices.values()}
    first = list(itertools.islice(chains_above(devices["d0"], known), 100))
    assert len(first) == 100
    (row,) = (
        r for r in csv.devices(snapshot(*known.values())).splitlines() if ",d0," in r
    )
    assert row.count("d0 < ") == 16
    assert "; ...," in row


def test_what_is_above_is_unreadable_or_unknown() -> None:
    devices = stacked({"a": ("b",)}, lost=["b"])
    (chain,) = above(devices, "a")
    assert (names(chain), chain.cut) == (["b"], BAD.reason)
    del devices["b"]
    (chain,) = above(devices, "a")
    assert (names(chain), chain.cut) == (["b"], "it is not among the devices")
    (chain,) = above(stacked({"a": ()}, lost=["a"]), "a")
    assert chain == Chain((), BAD.reason)


# How they are shown ------------------------------------------------------------------


def who(devices: Mapping[str, Device], name: str) -> list[str]:
    """The first cell of a device in the table of all devices."""
    lines = table.devices(snapshot(*devices.values()))
    start = next(i for i, line in enumerate(lines) if f": {name} " in line)
    # Two blanks are between columns.
    found = [lines[start].split("  ")[0]]
    for line in lines[start + 1 :]:
        if line.startswith(str(HOST)) or line.startswith(str(POD)):
            break
        found.append(line.split("  ")[0])
    return found


def test_one_level_is_the_master() -> None:
    devices = stacked({"eth0": ("br0",)})
    devices["eth0"] = devices["eth0"]._replace(master=devices["br0"].ref)
    assert who(devices, "eth0") == ["1: eth0", "in br0"]
    port = BridgePort("blocking")
    devices["eth0"] = devices["eth0"]._replace(bridge_port=port)
    assert who(devices, "eth0") == ["1: eth0", "in br0 (blocking)"]


def test_several_levels_take_its_place() -> None:
    devices = stacked({"eth0": ("bond0",), "bond0": ("bond0.40",)})
    devices["eth0"] = devices["eth0"]._replace(master=devices["bond0"].ref)
    assert who(devices, "eth0") == ["1: eth0", "< bond0 < bond0.40"]
    text = csv.devices(snapshot(*devices.values()))
    assert ",eth0 < bond0 < bond0.40," in text


def test_a_device_on_another() -> None:
    devices = stacked({"eth0": ("eth0.1",)})
    devices["eth0.1"] = devices["eth0.1"]._replace(
        vlan=Vlan(1, "802.1ad"), lowers=(devices["eth0"].ref,)
    )
    assert who(devices, "eth0.1") == ["2: eth0.1", "on eth0"]
    assert who(devices, "eth0") == ["1: eth0"]


def test_another_namespace_is_named() -> None:
    devices = stacked({"eth0": ("mv0",), "mv0": ("br0",)})
    ref: DeviceRef = devices["mv0"].ref._replace(netns=POD)
    devices["eth0"] = devices["eth0"]._replace(uppers=(ref,))
    assert f",eth0 < mv0 ({POD}) < br0," in csv.devices(snapshot(*devices.values()))
