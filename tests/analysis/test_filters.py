# SPDX-License-Identifier: LGPL-2.1-or-later
"""Filters, and what namespaces are called."""

from drgn_veth.analysis.filters import NoDeviceError, Wanted, keep, matched_only, named
from drgn_veth.analysis.netns_names import (
    FilterError,
    find_all_netns,
    find_netns,
)
from drgn_veth.model import (
    Container,
    Namespace,
    NetTask,
    Snapshot,
)
import pytest

from tests.support.snapshots import BAD, HOST, POD, device, snapshot


def test_filters() -> None:
    whole = snapshot(
        device(HOST, 3, "veth0", altnames=("uplink",)),
        device(POD, 3, "eth0", net_device=0xFFFF888000001000),
        device(POD, 4, "br0", kind="bridge"),
    )
    part = keep(whole, Wanted({POD}))
    # Whole in itself: the peer, too, and its namespace.
    assert [(d.name, d.matched) for d in part.devices] == [
        ("veth0", False),
        ("eth0", True),
        ("br0", True),
    ]
    assert len(part.pairs) == 1
    assert [(n.inum, n.matched) for n in part.namespaces] == [
        (HOST, False),
        (POD, True),
    ]
    listed = matched_only(part)
    assert [d.name for d in listed.devices] == ["eth0", "br0"]
    assert [n.inum for n in listed.namespaces] == [POD]
    assert [d.name for d in keep(whole, Wanted(names=["up*"])).devices] == [
        "veth0",
        "eth0",
    ]
    assert [d.name for d in keep(whole, Wanted(kinds=["bridge"])).devices] == ["br0"]
    assert keep(whole, Wanted(kinds=["bridge"])).pairs == ()
    assert keep(whole, Wanted()) is whole
    for wrong in (
        {"netns": {POD, 7}},
        {"names": ["eth0", "no*"]},
        {"kinds": ["netkit"]},
    ):
        with pytest.raises(FilterError):
            keep(whole, Wanted(**wrong))


def _in(whole: Snapshot, *given: str) -> Wanted:
    return Wanted(find_all_netns(whole, given), netns_given=given)


def named_namespaces(*more: Namespace) -> Snapshot:
    """The first one, one of `ip netns`, one with a mount elsewhere, and more."""
    whole = snapshot(device(HOST, 3, "a"), device(POD, 3, "a"), device(POD + 1, 4, "b"))
    namespaces = (
        Namespace(HOST, True, 1),
        Namespace(POD, False, 1, names=("pod1",), mounts=("/run/netns/pod1",)),
        Namespace(POD + 1, False, 1, mounts=("/var/lib/x/ns",)),
    )
    return whole._replace(namespaces=namespaces + more)


@pytest.mark.parametrize(
    "given, inum",
    [
        ("host", HOST),
        (str(POD), POD),
        (f"{POD:#x}", POD),
        (f"net:[{POD}]", POD),
        ("pod1", POD),
        (f"pod1@{POD}", POD),
        (f"host@{HOST}", HOST),
        ("/run/netns/pod1", POD),
        ("/var/run/netns/pod1", POD),
        ("/run//netns/./pod1", POD),
        ("/var/lib/x/ns", POD + 1),
    ],
)
def test_namespace_by_what_it_is_called(given: str, inum: int) -> None:
    whole = named_namespaces()
    assert find_netns(whole, given) == inum
    assert find_all_netns(whole, [given]) == frozenset({inum})
    assert {d.netns for d in named(whole, [], _in(whole, given))} == {inum}


@pytest.mark.parametrize(
    "given", ["", "/", "no", "pod", "net:[pod1]", "net:[7]", "run/netns/pod1", "@"]
)
def test_namespace_that_is_not_there(given: str) -> None:
    more = [Namespace(i, False, 0, names=(f"n{i}",)) for i in range(100, 130)]
    with pytest.raises(FilterError) as error:
        find_netns(named_namespaces(*more), given)
    said = str(error.value)
    assert said.startswith(
        f"no network namespace has the name, path or inode number {given}"
    )
    assert said.count("(") == 12 and said.endswith(" and 21 more")


def test_namespaces_that_are_called_the_same() -> None:
    """`host` is the first one; `ip netns` may have another, and so with a number."""
    other = Namespace(POD + 9, False, 0, names=("host", str(POD)))
    whole = named_namespaces(other)
    for given, exact in (
        ("host", {f"host@{HOST}": HOST, f"host@{POD + 9}": POD + 9}),
        (str(POD), {f"net:[{POD}]": POD, f"{POD}@{POD + 9}": POD + 9}),
    ):
        with pytest.raises(FilterError) as error:
            find_netns(whole, given)
        said = str(error.value)
        assert said.startswith(f"2 network namespaces are called {given}; choose one")
        for text, inum in exact.items():
            assert text in said
            assert find_netns(whole, text) == inum


def test_namespaces_at_one_path() -> None:
    """A mount hides another."""
    whole = named_namespaces(Namespace(7, False, 0, mounts=("/run/netns/pod1",)))
    with pytest.raises(FilterError, match=rf"net:\[{POD}\], net:\[7\]"):
        find_netns(whole, "/run/netns/pod1")


def test_namespace_whose_name_is_no_text() -> None:
    whole = named_namespaces(Namespace(7, False, 0, names=("n\\xff",)))
    assert find_netns(whole, "n\udcff") == 7


def test_names_of_namespaces_that_could_not_be_read() -> None:
    whole = named_namespaces(Namespace(7, False, 0, names=BAD, mounts=BAD))
    with pytest.raises(FilterError, match=f"names could not be read: {BAD.reason}"):
        find_netns(whole, "pod2")


def test_several_namespaces() -> None:
    whole = named_namespaces()
    assert find_all_netns(whole, []) is None
    both = find_all_netns(whole, ["host", "pod1", "/run/netns/pod1"])
    assert both == frozenset({HOST, POD})
    part = keep(whole, Wanted(both))
    assert [d.netns for d in part.devices] == [HOST, POD]
    assert [n.inum for n in part.namespaces] == [HOST, POD]
    assert [d.netns for d in named(whole, ["a"], _in(whole, "pod1", "host"))] == [
        HOST,
        POD,
    ]
    nowhere = "no device named 'b' in the network namespace pod1 or host; available: a$"
    with pytest.raises(FilterError, match=nowhere):
        named(whole, ["b"], _in(whole, "pod1", "host"))
    with pytest.raises(FilterError, match="2 devices are named 'a'"):
        named(whole, ["a"])


def test_patterns_of_devices() -> None:
    """All that match, each one once; a device of that very name comes first."""
    whole = named_namespaces()
    assert [(d.netns, d.name) for d in named(whole, ["*", "b"])] == [
        (HOST, "a"),
        (POD, "a"),
        (POD + 1, "b"),
    ]
    assert [d.netns for d in named(whole, ["[a]"], _in(whole, "pod1", "host"))] == [
        HOST,
        POD,
    ]
    with pytest.raises(FilterError, match="no device named 'x\\*' in any network"):
        named(whole, ["b", "x*"])
    odd = snapshot(device(HOST, 3, "a*b"), device(HOST, 4, "axb"))
    assert [d.name for d in named(odd, ["a*b"])] == ["a*b"]


def test_the_nearest_names_are_offered() -> None:
    whole = snapshot(device(HOST, 3, "veth_xxx0"), device(HOST, 4, "lo", kind=None))
    near = "; nearest: veth_xxx0$"
    with pytest.raises(FilterError, match="no device named 'vteh_xxx0' .*" + near):
        named(whole, ["vteh_xxx0"])
    with pytest.raises(FilterError, match="no device matches 'xxx0'" + near):
        keep(whole, Wanted(names=["xxx0"]))
    with pytest.raises(FilterError, match="no device is of kind vet; nearest: veth$"):
        keep(whole, Wanted(kinds=["vet"]))
    with pytest.raises(FilterError, match=rf"available: {POD} \(pod1\), {HOST}"):
        find_netns(named_namespaces(), "pods1")


def test_names_of_which_none_is_near() -> None:
    """A few are listed, without altnames; of many, their number is told."""
    few = snapshot(device(HOST, 3, "a", altnames=("uplink",)), device(HOST, 4, "b"))
    with pytest.raises(FilterError, match="'zzz'; available: a, b$"):
        keep(few, Wanted(names=["zzz"]))
    with pytest.raises(FilterError, match=r"nearest: uplink \(altname of a\)$"):
        named(few, ["uplnk"])
    many = snapshot(*(device(HOST, i, f"veth{i}") for i in range(3, 23)))
    with pytest.raises(NoDeviceError, match="; none of 20 devices has a similar") as e:
        named(many, ["zzz"])
    assert e.value.many and not e.value.near


def test_a_name_as_ip_link_prints_it() -> None:
    """What is behind the @ is the peer, unless a device is called so."""
    whole = snapshot(device(HOST, 3, "veth0"), device(HOST, 4, "a@b"))
    for given, name in (("veth0@if7", "veth0"), ("veth*@x", "veth0"), ("a@b", "a@b")):
        assert [d.name for d in named(whole, [given])] == [name]
        kept = keep(whole, Wanted(names=[given]))
        assert [d.name for d in kept.devices if d.matched] == [name]
    with pytest.raises(FilterError, match="no device matches 'nosuch@if7'"):
        keep(whole, Wanted(names=["nosuch@if7"]))


def test_init_is_the_first_namespace() -> None:
    """Unless another one is called so."""
    whole = named_namespaces()
    assert find_netns(whole, "init") == find_netns(whole, "init_net") == HOST
    whole = named_namespaces(Namespace(7, False, 0, names=("init",)))
    assert find_netns(whole, "init") == 7


def _pods() -> Snapshot:
    """Two pods with containers, one with a process that no list names."""
    whole = named_namespaces()
    one = Container("9f86d081884c7d65", "docker", None, "/docker/9f86d081884c7d65")
    two = Container("9fffd081884c7d65", "containerd", "0a1b-2c", "/kubepods/x")
    host, pod, other = whole.namespaces
    return whole._replace(
        namespaces=(
            host._replace(label="host", net=1),
            pod._replace(
                label="pod1",
                net=2,
                containers=(one,),
                tasks=(NetTask(7, "sh", one.id),),
            ),
            other._replace(label=two.label, net=3, containers=(two,)),
        )
    )


def _net_of_pid(pid: int) -> int:
    if pid != 90:
        raise FilterError(f"pid {pid}: no such process")
    return 3


@pytest.mark.parametrize(
    "given, inums",
    [
        ("pid:7", {POD}),
        ("pid:90", {POD + 1}),
        ("container:9f86", {POD}),
        ("container:9fffd081884c7d65", {POD + 1}),
        ("containerd:9fffd081884c", {POD + 1}),
        ("container:containerd:9fff", {POD + 1}),
        ("pod:0a1b-2c", {POD + 1}),
        ("pod:0a", {POD + 1}),
        ("pod*", {POD}),
        ("*", {HOST, POD, POD + 1}),
        ("containerd:*", {POD + 1}),
        ("[hp]o*", {HOST, POD}),
    ],
)
def test_namespace_by_who_is_in_it(given: str, inums: set[int]) -> None:
    assert find_all_netns(_pods(), [given], _net_of_pid) == frozenset(inums)


@pytest.mark.parametrize(
    "given, said",
    [
        ("pid:8", "pid 8: no such process"),
        ("container:9f", "2 containers begin with '9f'; choose one: 9f86"),
        ("container:", "no container begins with ''; available: 9f86"),
        ("container:b", "no container begins with 'b'; available: 9f86"),
        ("pod:b", "no pod begins with 'b'; available: 0a1b-2c"),
        ("x*", "no network namespace has the name, path or inode number x*; available"),
    ],
)
def test_nobody_is_in_it(given: str, said: str) -> None:
    with pytest.raises(FilterError) as error:
        find_all_netns(_pods(), [given], _net_of_pid)
    assert str(error.value).startswith(said)


def test_a_process_without_a_way_to_look_it_up() -> None:
    with pytest.raises(FilterError, match=r"some that exist: pid:7\(sh\)"):
        find_all_netns(_pods(), ["pid:8"])


def test_addresses() -> None:
    whole = snapshot(
        device(HOST, 3, "a", addresses=("10.0.0.1/24", "fe80::1/64")),
        device(POD, 4, "b", addresses=("10.0.0.2/24",)),
        device(POD, 5, "c", addresses=()),
        device(POD, 6, "d", addresses=BAD),
    )._replace(pairs=())
    for given, name in (("10.0.0.1", "a"), ("fe80::0:1", "a"), ("10.0.0.2/24", "b")):
        kept = keep(whole, Wanted(addresses=[given]))
        assert [d.name for d in kept.devices] == [name]
    for given, said in (
        ("10.0.0.3", "no device has the address 10.0.0.3; available: 10.0.0.1, 10"),
        ("10.0.0", "'10.0.0' is not an IP address"),
        ("10.0.0.1/240", "'10.0.0.1/240' is not an IP address"),
        ("02:42:AC:11:00:02", "a MAC address is no IP address; --address takes IPv4"),
    ):
        with pytest.raises(FilterError, match=said):
            keep(whole, Wanted(addresses=[given]))


def test_process_with_a_thread_elsewhere() -> None:
    """A daemon that has been in the namespace of a container: its leader decides."""
    whole = _pods()
    host, pod, other = whole.namespaces
    thread, leader = NetTask(90, "cni", None, 95), NetTask(90, "cni", None)
    there = pod._replace(tasks=(thread,))
    both = whole._replace(namespaces=(host, there, other._replace(tasks=(leader,))))
    assert find_all_netns(both, ["pid:90"]) == frozenset({POD + 1})
    # The leader is where its tasks are not listed.
    alone = whole._replace(namespaces=(host, there, other))
    assert find_all_netns(alone, ["pid:90"], _net_of_pid) == frozenset({POD + 1})
    assert find_all_netns(alone, ["pid:90"]) == frozenset({POD})


def test_process_whose_first_thread_has_ended() -> None:
    """It is in no namespace; its other threads are."""
    whole = _pods()
    host, pod, other = whole.namespaces
    there = pod._replace(tasks=(NetTask(91, "go", None, 95),))
    alone = whole._replace(namespaces=(host, there, other))
    assert find_all_netns(alone, ["pid:91"], _net_of_pid) == frozenset({POD})
