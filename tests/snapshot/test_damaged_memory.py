# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Damaged memory
--------------

A recorded core, seen with changes: lists that skip entries, counts that the queues
deny, names that no kernel accepts. Members that are lost: test_damaged_members.py.
"""

from drgn_veth import find_net
from drgn_veth.analysis.commands import Commands
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.analysis.netns_names import FilterError, find_netns
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Snapshot, XdpProgram
from drgn_veth.readers.netdev_names import dev_valid_name
from drgn_veth.readers.netns import for_each_net_bounded
from drgn_veth.readers.xdp import XdpMode
import pytest

from tests.support.damage import at, devices_of, named, take
from tests.support.memory import Altered
from tests.support.slow import slow_but

# Lists -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lo", "xmixa", "rpsa"])
def test_list_that_skips_devices(altered: Altered, whole: Snapshot, name: str) -> None:
    """One next leads past most of the others."""
    devices = list(devices_of(altered.original).values())
    here = devices_of(altered.original)[name]
    last = devices[-1]
    altered.write_pointer(here.dev_list.next, last.dev_list.address_of_().value_())
    snapshot = take(altered)
    assert snapshot.devices == whole.devices
    assert snapshot.pairs == whole.pairs
    ((what, why),) = snapshot.incomplete
    assert what.startswith("devices of namespace ")
    assert "does not point back" in why


def test_number_of_another_namespace(altered: Altered, whole: Snapshot) -> None:
    """Names and commands lead to a number: nothing says to which of the two."""
    numbered = {n.net: n for n in whole.namespaces}
    nets = {
        numbered[net.value_()].label: net
        for net in for_each_net_bounded(altered.original)
    }
    one, other = nets["pod1"], nets["pod2"]
    number = one.ns.inum.value_()
    altered.write(other.ns.inum.address_of_().value_(), number.to_bytes(4, "little"))
    snapshot = take(altered)
    assert len({namespace.label for namespace in snapshot.namespaces}) == len(nets)
    both = [n for n in snapshot.namespaces if n.net in (one.value_(), other.value_())]
    assert len(both) == 2
    for namespace, twin in zip(both, reversed(both)):
        why = f"invalid inode number {number}: {twin.net:#x} has it, too"
        assert namespace.inum == Unreadable(why)
        assert isinstance(namespace.mounts, Unreadable)
        before = [d for d in whole.devices if d.netns == numbered[namespace.net].inum]
        devices = [d for d in snapshot.devices if d.netns == namespace.inum]
        assert [d.name for d in devices] == [d.name for d in before] != []
        for device in devices:
            assert device.netns_label == namespace.label
            assert Commands(snapshot).up(device.ref) == ()
    for text in (str(number), "pod1", "pod2"):
        with pytest.raises(FilterError):
            find_netns(snapshot, text)
    for text in (str(number), "pod1"):
        with pytest.raises(LookupError, match="^several network namespaces are called"):
            find_net(altered.prog, text)
    rest = [n for n in snapshot.namespaces if n not in both]
    assert rest == [n for n in whole.namespaces if n.label not in ("pod1", "pod2")]


@pytest.mark.slow
def test_list_that_skips_namespaces(altered: Altered, whole: Snapshot) -> None:
    nets = list(for_each_net_bounded(altered.original))
    assert len(nets) > 3
    altered.write_pointer(nets[0].list.next, nets[-1].list.address_of_().value_())
    snapshot = take(altered)
    assert snapshot.namespaces == whole.namespaces
    ((what, why),) = snapshot.incomplete
    assert what == "namespaces"
    assert "does not point back" in why


def test_namespace_whose_number_is_lost(altered: Altered, whole: Snapshot) -> None:
    """Its names are found by its number: it is not one that has none."""
    nets = list(for_each_net_bounded(altered.original))
    numbered = {n.inum: n for n in whole.namespaces}
    lost = next(net for net in nets if numbered[net.ns.inum.value_()].names)
    altered.lose(lost.ns.inum.address_of_().value_(), 4)
    (namespace,) = (
        n for n in take(altered).namespaces if isinstance(n.inum, Unreadable)
    )
    assert isinstance(namespace.names, Unreadable)
    assert isinstance(namespace.mounts, Unreadable)


# Counts ------------------------------------------------------------------------------


def test_counts_that_the_queues_deny(altered: Altered) -> None:
    """An array of queues of another device: it makes no count, and no command."""
    devices = devices_of(altered.original)
    dev = devices["veth_xxx0"]
    assert dev.num_rx_queues == dev.real_num_rx_queues == 14
    altered.write_pointer(dev._rx, devices["veth_yyy0"]._rx.value_())
    snapshot = take(altered, "veth_xxx0", "veth_yyy0")
    device = named(snapshot, "veth_xxx0")
    for value in (*device.queues.rx, device.rps):
        assert isinstance(value, Unreadable)
        assert "the last one belongs to another device" in value.reason
    for finding in diagnose(snapshot):
        assert not any(" rx 14" in command for command in finding.fix)


def test_counts_of_all_others_are_confirmed(whole: Snapshot) -> None:
    for device in whole.devices:
        for count in device.queues:
            assert isinstance(count.real, int) and isinstance(count.allocated, int)


# Names -------------------------------------------------------------------------------


REFUSED = [
    b"",
    b".",
    b"..",
    b"a/b",
    b"a:b",
    b"a b",
    b"a\tb",
    b"\n",
    b"a\xa0b",
    b"0123456789abcdef",
]


@pytest.mark.parametrize("name", slow_but([b"", b"a/b", b"0123456789abcdef"], REFUSED))
def test_names_that_no_kernel_accepts(altered: Altered, name: bytes) -> None:
    assert not dev_valid_name(name)
    dev = devices_of(altered.original)["veth_xxx0"]
    altered.write(dev.name.address_of_().value_(), name + bytes(16 - len(name)))
    snapshot = take(altered)
    device = at(snapshot, dev)
    assert isinstance(device.name, Unreadable)
    assert "invalid device name" in device.name.reason
    peer = named(snapshot, "veth_yyy0").peer
    assert isinstance(peer, tuple) and peer.name == device.name
    found = [f for f in diagnose(snapshot) if f.device == device.ref]
    assert found
    for finding in found:
        assert not any(" '' " in f or "veth_xxx0" in f for f in finding.fix)
        named_ones = [f for f in finding.fix if "veth_yyy0" not in f]
        assert named_ones == []


@pytest.mark.parametrize(
    "name", [b"a", b"eth0.40", b"\xc3\xa4", b"-x", b"=1", b"0123456789abcde", b"$(id)"]
)
def test_names_that_a_kernel_accepts(name: bytes) -> None:
    assert dev_valid_name(name)


# Indexes -----------------------------------------------------------------------------

DENIED = "has it, too"


def give_index(altered: Altered, name: str, ifindex: int) -> None:
    dev = devices_of(altered.original)[name]
    altered.write(dev.ifindex.address_of_().value_(), ifindex.to_bytes(4, "little"))


def add_table(altered: Altered) -> None:
    # A report asks for it only now. lo is alone in bucket 1.
    lo = devices_of(altered.original)["lo"]
    table = lo.index_hlist.pprev.value_() - 8
    altered.add(lo.nd_net.net.dev_index_head.address_, table.to_bytes(8, "little"))


@pytest.mark.slow
def test_ifindex_of_another_device(altered: Altered, whole: Snapshot) -> None:
    """The namespace's hash table shows whose it is, whoever comes first in the list."""
    taken = named(whole, "rpsa")
    assert isinstance(taken.ifindex, int)
    for name in ("mqa", "xmixa"):
        altered.reset()
        add_table(altered)
        give_index(altered, name, taken.ifindex)
        snapshot = take(altered)
        assert named(snapshot, "rpsa") == taken
        wrong = at(snapshot, devices_of(altered.original)[name]).ifindex
        assert wrong == Unreadable(
            f"invalid ifindex {taken.ifindex}: {taken.net_device:#x} {DENIED}"
        )
    peer = named(whole, "xmixb")._replace(peer=named(snapshot, "xmixa").ref)
    assert named(snapshot, "xmixb") == peer


def test_ifindex_of_several_devices(altered: Altered, whole: Snapshot) -> None:
    """Nothing shows whose it is: no device has it. Others keep theirs."""
    several = ("xmixa", "rpsa", "mqa")
    for name in several:
        give_index(altered, name, 3000)
    for device in take(altered).devices:
        if device.name in several:
            assert isinstance(device.ifindex, Unreadable)
            assert device.ifindex.reason.endswith(DENIED)
        else:
            assert isinstance(device.ifindex, int)


@pytest.mark.slow
def test_ifindex_that_all_devices_have(altered: Altered) -> None:
    """The table is a loop: the search ends."""
    add_table(altered)
    devices = list(devices_of(altered.original).values())
    for dev in devices:
        altered.write(dev.ifindex.address_of_().value_(), b"\7\0\0\0")
    nodes = [dev.index_hlist.address_of_().value_() for dev in devices]
    for dev, before in zip(devices, nodes[-1:] + nodes):
        altered.write_pointer(dev.index_hlist.pprev, before)
    for dev, after in zip(devices, nodes[1:] + nodes):
        altered.write_pointer(dev.index_hlist.next, after)
    snapshot = take(altered)
    assert sum(isinstance(d.ifindex, Unreadable) for d in snapshot.devices) == len(
        devices
    )


# Masks and ports ---------------------------------------------------------------------


def test_master_that_lists_other_ports(altered: Altered, whole: Snapshot) -> None:
    assert named(whole, "bslave0").master
    ports = devices_of(altered.original)["bond_zoo"].adj_list.lower
    head = ports.address_of_().value_()
    altered.write_pointer(ports.next, head)
    altered.write_pointer(ports.prev, head)
    master = named(take(altered, "bslave0"), "bslave0").master
    assert isinstance(master, Unreadable)
    assert "does not list it as a port" in master.reason


def test_cpu_that_cannot_be_there(altered: Altered) -> None:
    mask = altered.original["__cpu_online_mask"].bits
    altered.write(mask.address_of_().value_() + 3, b"\1")
    online = take(altered).target.online_cpus
    assert isinstance(online, Unreadable)
    assert "CPU 24 is set in a mask, but nr_cpu_ids is 4" in online.reason


def test_link_of_another_device(altered: Altered, whole: Snapshot) -> None:
    """Nothing of that link is said to be this device's, not even its program."""
    devices = devices_of(altered.original)
    one, other = devices["xlinka"], devices["xholda"]
    link = other.xdp_state[XdpMode.DRV].link
    altered.add(link.dev.address_, other.value_().to_bytes(8, "little"))
    altered.write_pointer(one.xdp_state[XdpMode.DRV].link, link.value_())
    snapshot = take(altered, "xlinka")
    program = named(snapshot, "xlinka").xdp.driver
    assert isinstance(program, XdpProgram) and program.via == "link"
    assert isinstance(program.id, Unreadable)
    assert program.id.reason == "its link does not point back to this device"
    assert {one.device.name for one in snapshot.links} == {
        one.device.name for one in whole.links
    } - {"xlinka"}


def test_mutex_that_no_task_owns(altered: Altered) -> None:
    """The pointer leads to a device, so no task is named."""
    dev = devices_of(altered.original)["veth_xxx0"].value_()
    altered.write_pointer(altered.original["rtnl_mutex"].owner.counter, dev)
    snapshot = take(altered)
    assert isinstance(snapshot.target.rtnl_owner, Unreadable)
