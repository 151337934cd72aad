# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network namespaces: which is meant, what is taken there, what kernels say of it."""

import errno
from typing import Any

from drgn_veth.core.messages import NETNS_IMMUTABLE
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Kernel, Snapshot, Traits

from tests.support.damage import named
from tests.support.requests import SOUND, answer_to, changed, errnos_of, granted
from tests.support.snapshots import BAD, HOST, POD, kernel, pair

_SAYS = kernel(says_netns=True)


def _pair(said: Kernel = _SAYS, **near: Any) -> Snapshot:
    """The peer has another ifindex than those that are asked for."""
    far = {**SOUND, "ifindex": 20}
    return pair({**SOUND, **near}, far)._replace(kernel=said)


def test_how_a_namespace_is_called() -> None:
    """By its label, any of its names, or its number."""
    whole = _pair()
    host, pod = whole.namespaces
    pod = pod._replace(label="blue", names=("pod1", "green"))
    for names, known in ((("pod1", "green"), True), (BAD, False)):
        there = whole._replace(namespaces=(host, pod._replace(names=names)))
        for text in ("blue", str(POD)):
            answer = answer_to(there, f"netns {text}")
            assert (answer.errno, answer.because) == (0, "its names are free there")
            now = named(granted(there, f"netns {text}"), "veth0")
            assert (now.netns, now.netns_label) == (POD, "blue")
        for text in ("green", "pod1"):
            answer = answer_to(there, f"netns {text}")
            assert answer.errno == 0 if known else isinstance(answer.errno, Unreadable)
        for text in ("red", "1", str(HOST + 1)):
            answer = answer_to(there, f"netns {text}")
            assert isinstance(answer.errno, Unreadable)
            assert f"no network namespace '{text}'" in answer.because
    for text in ("same", "host", str(HOST)):
        assert answer_to(whole, f"netns {text}").because == "veth0 is there already"
    # Without a number, it is not known which devices it has.
    lost = whole._replace(namespaces=(host, pod._replace(inum=BAD)))
    assert isinstance(answer_to(lost, "netns blue").errno, Unreadable)
    here = changed(whole, "veth0", netns=BAD)
    assert isinstance(answer_to(here, "netns same").errno, Unreadable)


def test_names_that_are_taken() -> None:
    taken = "An interface with the same name exists in the target netns"
    alt = "An interface with the altname y exists in the target netns"
    for far, altnames, message in (
        ({"name": "veth0"}, (), taken),
        ({"altnames": ("x", "veth0")}, (), taken),
        ({"altnames": ("x", "y")}, ("z", "y"), alt),
        ({"name": "y"}, ("z", "y"), alt),
        ({"altnames": ("x",)}, ("y",), None),
        ({"name": "veth0", "altnames": ("y",)}, ("y",), taken),
    ):
        whole = changed(_pair(altnames=altnames), "eth0", **far)
        refused = (0, None) if message is None else (errno.EEXIST, message)
        answer = answer_to(whole, "netns pod1")
        assert (answer.errno, answer.message) == refused
        # Where it is already, it is not in its own way.
        assert answer_to(whole, "netns same").errno == 0
        # What the kernel is about to free takes no name.
        gone = _pair(altnames=altnames)
        gone = changed(gone, "eth0", **far, off_list="unregistering")
        assert answer_to(gone, "netns pod1").errno == 0
        # Those of other namespaces do not matter.
        far_away = changed(_pair(altnames=altnames), "eth0", **far, netns=POD + 1)
        assert answer_to(far_away, "netns pod1").errno == 0
    for member in ("name", "altnames"):
        lost = changed(_pair(), "eth0", **{member: BAD})
        assert isinstance(answer_to(lost, "netns pod1").errno, Unreadable)
    for near in ({"altnames": BAD}, {"traits": Traits(netns_immutable=BAD)}):
        assert isinstance(answer_to(_pair(**near), "netns pod1").errno, Unreadable)


def test_an_ifindex_that_is_taken() -> None:
    for text, number in (
        ("netns pod1 ifindex 20", errno.EBUSY),
        ("netns pod1 ifindex 21", 0),
        ("netns pod1 ifindex 0", 0),  # as if there was none
        ("netns pod1", 0),
        # That of a device that is elsewhere.
        ("netns pod1 ifindex 3", 0),
        ("netns same ifindex 3", 0),
        ("netns new ifindex 1", errno.EBUSY),
        ("netns new ifindex 2", 0),
    ):
        answer = answer_to(_pair(), text)
        assert answer.errno == number
        if number:
            assert answer.message == (
                f"The ifindex {text.split()[-1]} is not available in the target netns"
            )
    lost = changed(_pair(), "eth0", ifindex=BAD)
    assert isinstance(answer_to(lost, "netns pod1 ifindex 21").errno, Unreadable)
    # The name comes first.
    whole = changed(_pair(), "eth0", name="veth0")
    assert answer_to(whole, "netns pod1 ifindex 20").errno == errno.EEXIST


def test_an_ifindex_that_is_free_again() -> None:
    """unlist_netdevice() gives it back before the device is gone."""
    whole = _pair()
    for off_list, error in ((None, errno.EBUSY), ("unregistering", 0)):
        there = changed(whole, "eth0", off_list=off_list)
        assert answer_to(there, "netns pod1 ifindex 20").errno == error, off_list


def test_a_kernel_that_may_not_take_an_ifindex() -> None:
    for takes, ifindex in ((True, 9), (False, None), (BAD, BAD)):
        whole = _pair(kernel(says_netns=True, netns_ifindex=takes))
        now = named(granted(whole, "netns pod1 ifindex 9"), "veth0").ifindex
        assert isinstance(now, Unreadable) if ifindex is None else now == ifindex


def test_where_it_is_already() -> None:
    """Newer kernels ask that first; the others look at the device before."""
    immutable = {"traits": Traits(netns_immutable=True)}
    leaving = {"reg_state": "UNREGISTERING"}
    for near in (immutable, leaving):
        for first, same, function in (
            (False, errno.EINVAL, "__dev_change_net_namespace"),
            (True, 0, "do_setlink"),
        ):
            whole = _pair(_SAYS._replace(netns_first=first), **near)
            for text in ("netns same", "netns host"):
                answer = answer_to(whole, text)
                assert (answer.errno, answer.function) == (same, function)
            for text in ("netns pod1", "netns new"):
                answer = answer_to(whole, text)
                assert answer.errno == errno.EINVAL
                assert answer.function == "__dev_change_net_namespace"
    for first in (False, True):
        answer = answer_to(_pair(kernel(netns_first=first)), "netns same")
        assert answer.errno == 0
        assert answer.because == "veth0 is there already"


def test_kernels_that_do_not_say_why() -> None:
    """Which of them look at altnames is not known then."""
    old = kernel(says_netns=False)
    for near, text, errnos in (
        ({"traits": Traits(netns_immutable=True)}, "netns new", [errno.EINVAL]),
        ({"name": "lo"}, "netns new", [errno.EEXIST]),
        ({"name": "lo", "altnames": ("lo",)}, "netns new", [errno.EEXIST]),
        ({"altnames": ("lo",)}, "netns new", [errno.EEXIST, 0]),
        ({"altnames": ("lo",)}, "netns new ifindex 1", [errno.EEXIST, errno.EBUSY]),
        ({}, "netns new ifindex 1", [errno.EBUSY]),
        ({}, "netns new", [0]),
    ):
        answer = answer_to(_pair(old, **near), text)
        assert errnos_of(answer) == errnos
        assert {one.message for one in answer.either or (answer,)} == {None}
        assert answer.errno == (errnos[0] if len(errnos) == 1 else None)
        # What says it looks at all of them.
        said = answer_to(_pair(**near), text)
        assert said.errno == errnos[0] and not said.either
        assert bool(said.message) == bool(said.errno)
    answer = answer_to(_pair(traits=Traits(netns_immutable=True)), "netns new")
    assert answer.message == NETNS_IMMUTABLE
