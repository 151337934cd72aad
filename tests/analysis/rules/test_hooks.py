# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules about who holds the XDP hook: modes, links, devices above."""

from drgn_veth.analysis.rules.finding import KernelAnswer, Undo
from drgn_veth.model import Holder, Xdp, XdpLink

from tests.support.rules import CASES
from tests.support.rules.case import EEXIST, found
from tests.support.snapshots import (
    BAD,
    BR0,
    HOST,
    LINKED,
    PIN,
    POD,
    WHY,
    WITH_XDP,
    device,
    generic,
    kernel,
    link,
    messages,
    native,
    pair,
    queues,
)


def test_message_in_dev_xdp_install() -> None:
    message = "Native and generic XDP can't be active at the same time"
    late = messages("dev_xdp_install", message)
    (finding,) = found("xdp-mode-conflict", pair(generic(), kernel=late))
    assert finding.kernel == KernelAnswer("dev_xdp_install", "EEXIST", message)


def test_two_uppers_of_one_name() -> None:
    """As macvlans that were moved to two namespaces, with the same ifindex even."""
    uppers = [
        device(POD + i, 7, "mv", kind="macvlan", xdp=WITH_XDP, net_device=0x1000 + i)
        for i in range(2)
    ]
    refs = tuple(upper.ref for upper in uppers)
    (finding,) = found("xdp-upper-program", pair({"uppers": refs}, None, *uppers))
    names = [f"mv (netns {POD + i}, ifindex 7)" for i in range(2)]
    assert f": upper devices {', '.join(names)} have programs" in finding.summary
    assert dict(finding.evidence) == {f"prog_id of upper {n}": (7,) for n in names}


def test_link_whose_id_is_unreadable() -> None:
    lost = LINKED._replace(link_id=BAD)
    (finding,) = found("xdp-link-owns-hook", pair(generic(lost)))
    assert finding.summary.startswith(
        "a BPF link (its id could not be read) holds its generic program: "
    )
    assert finding.evidence[0] == ("link_id", BAD)
    assert finding.fix == ()


def test_upper_where_the_code_is_not_known() -> None:
    case = CASES["xdp-upper-program"].fires
    (finding,) = found("xdp-upper-program", case._replace(kernel=kernel(messages=BAD)))
    assert finding.undecided == (
        f"whether this kernel checks for it (since v5.15): {WHY}"
    )


def test_no_undo_that_the_kernel_refuses() -> None:
    """A detach by netlink, while a device above has a program; a link's is not."""
    bridge = BR0._replace(xdp=WITH_XDP)
    below = {**generic(), "uppers": (BR0.ref,)}
    for rule in ("xdp-mode-conflict", "xdp-upper-program"):
        (finding,) = found(rule, pair(below, None, bridge))
        assert (finding.undo is None) == (rule == "xdp-mode-conflict")
        assert finding.fix == ()
    (finding,) = found(
        "xdp-link-owns-hook", pair({**below, **generic(LINKED)}, None, bridge)
    )
    assert finding.undo == Undo(
        "which detaches the program", ("bpftool link detach id 3",)
    )


def test_uppers_are_detached_from_the_top_down() -> None:
    top = device(HOST, 20, "vlan5", kind="vlan", xdp=WITH_XDP, net_device=0x2000)
    bridge = BR0._replace(xdp=WITH_XDP, uppers=(top.ref,))
    (finding,) = [
        f
        for f in found(
            "xdp-upper-program", pair({"uppers": (BR0.ref,)}, None, bridge, top)
        )
        if f.device and f.device.name == "veth0"
    ]
    assert finding.undo == Undo(
        "which detaches the programs above it",
        (
            "ip link set dev vlan5 xdpdrv off",
            "ip link set dev br0 xdpdrv off",
        ),
    )


def test_upper_then() -> None:
    below = {**generic(), **queues(1, 1), "uppers": (BR0.ref,)}
    bridge = BR0._replace(xdp=WITH_XDP)
    (finding,) = found("xdp-upper-program", pair(below, queues(4, 4), bridge))
    assert finding.then is not None and finding.then.answer == EEXIST
    own = {**native(), "uppers": (BR0.ref,)}
    (finding,) = found("xdp-upper-program", pair(own, None, bridge))
    assert finding.undo is not None and finding.then is None


def test_no_undo_that_leaves_a_program_above() -> None:
    """One is above that nothing leads to."""
    far = device(POD + 5, 7, "mv", kind="macvlan", xdp=WITH_XDP, net_device=0x3000)
    near = BR0._replace(xdp=WITH_XDP)
    uppers = {"uppers": (BR0.ref, far.ref)}
    (finding,) = found("xdp-upper-program", pair(uppers, None, near, far))
    assert "have programs" in finding.summary
    assert finding.undo is None and finding.then is None


def test_all_pins_have_to_go() -> None:
    (finding,) = found("xdp-link-pinned-only", link(0, (PIN, "/b")))
    assert "and only 2 pins hold the link" in finding.summary
    assert finding.fix == ()
    assert finding.undo == Undo(
        "which removes its pins and so detaches the program", (f"rm '{PIN}'", "rm /b")
    )


def test_pins_of_another_mount_namespace_are_left_alone() -> None:
    """Such a path may be another file here."""
    (finding,) = found("xdp-link-pinned-only", link(0, (PIN,), here=False))
    assert finding.undo == Undo(
        "which detaches the program and leaves the pin",
        ("bpftool link detach id 3",),
    )
    # Without an id, no command is printed.
    held = pair(generic(LINKED._replace(link_id=0)))
    links = link(0, (PIN,), here=False, id=0).links
    (finding,) = found("xdp-link-pinned-only", held._replace(links=links))
    assert finding.undo is None


def test_whose_link_it_is() -> None:
    """Of two on one device."""
    one, two = Holder("fd", 12, "bpfman", 7), Holder("fd", 13, "sh", 3)
    for number, owner in ((3, "bpfman (pid 12, fd 7)"), (4, "sh (pid 13, fd 3)")):
        held = pair(generic(LINKED._replace(link_id=number)))
        ref = held.devices[0].ref
        links = (
            XdpLink(4, ref, (), 1, tasks=(two,)),
            XdpLink(3, ref, (), 1, tasks=(one,)),
        )
        (finding,) = found("xdp-link-owns-hook", held._replace(links=links))
        assert finding.summary.endswith(f"replace or detach it; {owner} has it open")
        assert dict(finding.evidence)["opened_by"] == (owner,)


def test_owner_of_an_unknown_link() -> None:
    """Two numbers that could not be read are not the same."""
    held = pair(generic(LINKED._replace(link_id=BAD)))
    other = XdpLink(BAD, held.devices[0].ref, (), 1, tasks=(Holder("fd", 1, "x", 3),))
    (finding,) = found("xdp-link-owns-hook", held._replace(links=(other,)))
    assert "opened_by" not in dict(finding.evidence)


def test_link_with_a_lost_id_is_no_other_one() -> None:
    held = LINKED._replace(link_id=BAD)
    snapshot = pair({"xdp": Xdp(held, None, None, ())})
    other = XdpLink(BAD, snapshot.devices[0].ref, (PIN,), 0)
    (finding,) = found("xdp-link-pinned-only", snapshot._replace(links=(other,)))
    assert finding.undecided == f"link_id could not be read: {WHY}"
