# SPDX-License-Identifier: LGPL-2.1-or-later
"""xdp_attach.py on the recorded cores: the screens, the JSON, and wrong use."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.attach_script import NEWEST, refused, run, screen
from tests.support.recorded import recorded_core
from tests.support.schemas import validate
from tests.support.slow import slow_but


@pytest.fixture(scope="module")
def core() -> Path:
    return recorded_core(NEWEST).core


def document(core: Path, *args: str) -> dict[str, Any]:
    done = run(core, *args, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    validate(found, "drgn-veth-1-attempts")
    return found


def test_the_story(core: Path) -> None:
    """14 RX queues against 48 TX queues, and what to do."""
    text = screen(core, "veth_xxx0", "--mode", "driver", "--via", "netlink")
    # It has a generic program, which is in the way before the queues are.
    assert "EEXIST: File exists" in text
    assert "ip link set dev veth_xxx0 xdpgeneric off" in text
    assert "then ENOSPC: veth_xdp_set()" in text
    assert "14 real RX queues" in text and "48 real TX queues" in text
    assert "ethtool -L veth_yyy0 tx 14" in text
    (said,) = document(core, "veth_xxx0", "--mode", "driver", "--via", "netlink")[
        "attempts"
    ]
    assert (said["error"], said["then"]["error"]) == ("EEXIST", "ENOSPC")
    assert "then" not in said["then"]


@pytest.mark.slow
def test_the_way_out(core: Path) -> None:
    """What the seed did in the end, where it holds."""
    text = screen(core, "q24a", "--mode", "native", "--via", "netlink")
    assert "driver ENOSPC: No space left on device" in text
    command = "ip link set dev q24a xdpgeneric obj FILE"
    assert f"generic mode would be accepted: xdpgeneric: $ {command}" in text
    pod = screen(core, "m3507b", "--mode", "drv")
    assert "ERANGE" in pod and "generic mode would be accepted" in pod
    for args in (
        ["veth_xxx0"],  # has a generic program
        ["xnata"],  # has a native one
        ["lowa"],  # its upper device has one
        ["q11b"],  # is not refused
        ["q24a", "--mode", "xdpgeneric"],
        ["q24a", "--detach"],
    ):
        assert "would be accepted" not in screen(core, *args)


@pytest.mark.parametrize(
    "words",
    slow_but(
        [["default", "xdp"]],
        [
            ["default", "xdp"],
            ["generic", "skb", "xdpgeneric", "xdpskb", "SKB"],
            ["driver", "native", "drv", "xdpdrv", "xdpnative"],
            ["offload", "hw", "xdpoffload", "xdphw"],
        ],
    ),
)
def test_modes_by_any_of_their_names(words: list[str], core: Path) -> None:
    wanted = document(core, "q24a", "--mode", words[0])
    assert {a["mode"] for a in wanted["attempts"]} == {words[0]}
    for word in words[1:]:
        assert document(core, "q24a", "--mode", word) == wanted


@pytest.mark.slow
def test_patterns(core: Path) -> None:
    found = document(core, "q24*", "xnat?", "q24a")["attempts"]
    names = list(dict.fromkeys(a["name"] for a in found))
    assert names == ["q24b", "q24a", "xnatb", "xnata"]
    text = screen(core, "q24*", "--mode", "driver")
    assert text.index("q24b (host)") < text.index("q24a (host)")
    pods = document(core, "eth*", "--mode", "driver", "--via", "link")["attempts"]
    assert len({a["netns"] for a in pods}) > 3
    only = document(core, "eth*", "--netns", "pod1", "--netns", "pod3")["attempts"]
    assert {a["name"] for a in only} == {"eth0"}
    assert len({a["netns"] for a in only}) == 2


@pytest.mark.slow
def test_failing(core: Path) -> None:
    every = document(core, "--all")["attempts"]
    refused = {
        (a["netns"], a["ifindex"])
        for a in every
        if a["error"] and a["mode"] in ("default", "generic")
    }
    kept = [a for a in every if (a["netns"], a["ifindex"]) in refused]
    assert 0 < len(kept) < len(every)
    assert document(core, "--all", "--failing")["attempts"] == kept
    text = screen(core, "--failing", "--kind", "veth")
    assert "q24b" in text and "q11b" not in text
    driver = screen(core, "--all", "--failing", "--mode", "xdpdrv")
    assert " lo " in driver
    assert "no device refuses" in screen(core, "--failing", "--device", "q11b")


def test_devices_with_a_finding(core: Path) -> None:
    found = document(core, "--rule", "xdp-native-*", "--mode", "driver")["attempts"]
    assert {a["name"] for a in found} == {"veth_xxx0", "q24a", "q24b", "onea"}


def test_four_modes(core: Path) -> None:
    done = run(core, "xnatb")
    rows = [line.split()[0] for line in done.stdout.splitlines() if line[:1].isalpha()]
    assert [row for row in rows if row in ("default", "generic", "driver", "offload")]
    for mode in ("default", "generic", "driver", "offload"):
        assert rows.count(mode) == 1, done.stdout


def test_ways_that_differ_are_told_apart(core: Path) -> None:
    text = screen(core, "xnata", "--mode", "driver")
    assert text.count("driver EBUSY: Device or resource busy") == 2
    assert "by netlink" in text and "by link" in text
    said = document(core, "xnata", "--mode", "driver")["attempts"]
    assert [(one["via"], one["message"]) for one in said] == [
        ("netlink", "XDP program already attached"),
        ("link", "Can't replace active XDP program with BPF link"),
    ]


def test_commands_name_the_namespace(core: Path) -> None:
    text = screen(
        core, "eth0", "--netns", "pod2", "--mode", "driver", "--via", "netlink"
    )
    assert "ip netns exec pod2 ip link set dev eth0 xdpdrv off" in text


def test_replace_and_detach(core: Path) -> None:
    replaced = document(core, "xnata", "--mode", "driver", "--replace")["attempts"]
    assert [(a["op"], a["via"], a["errno"]) for a in replaced if "op" in a] == [
        ("replace", "netlink", 0)
    ]
    updated = document(core, "xlinka", "--mode", "driver", "--replace")["attempts"]
    assert [(a["op"], a["via"], a["error"]) for a in updated] == [
        ("replace", "netlink", "EBUSY"),
        ("update", "link", None),
    ]
    detached = document(core, "xlinka", "--detach")["attempts"]
    assert {a["mode"]: a["error"] for a in detached} == {
        "default": "EBUSY",
        "generic": None,
        "driver": "EBUSY",
        "offload": None,
    }


def test_a_loaded_program(core: Path) -> None:
    """zoo_devmap is for a devmap's entries."""
    (number,) = {
        int(part)
        for part in (
            run(core, "xnatb", "--program", "999999").stderr.split("available: ")[1]
        ).split(",")
    } & {6}
    said = document(core, "xnatb", "--program", str(number))["attempts"]
    assert {a["message"] for a in said} == {
        "BPF_XDP_DEVMAP programs can not be attached to a device"
    }


@pytest.mark.slow
def test_all(core: Path) -> None:
    found = document(core, "--all")["attempts"]
    keys = [(a["netns"], a["ifindex"], a["mode"], a["via"], a["frags"]) for a in found]
    assert len(keys) == len(set(keys)) and len(keys) % 16 == 0
    assert keys[:4] == [
        (*keys[0][:2], "default", via, frags)
        for via in ("netlink", "link")
        for frags in (False, True)
    ]
    there = document(core, "--all", "--netns", "pod1")["attempts"]
    assert there == [a for a in found if a["netns"] == there[0]["netns"]]
    text = screen(core, "--all")
    assert "ENOSPC" in text


@pytest.mark.slow
def test_output_is_the_same_each_time(core: Path) -> None:
    first = run(core, "--all", "--format", "json").stdout
    assert first == run(core, "--all", "--format", "json").stdout


@pytest.mark.slow
def test_hostile_names(core: Path) -> None:
    """No byte of a name that a terminal obeys gets out, nor into a command."""
    for args in (["--all"], ["\x1b[31mred", "<b>bold", "a,b;$(id)", "=1+1|`w`"]):
        done = run(core, *args)
        assert done.returncode == 0
        assert all(c.isprintable() or c == "\n" for c in done.stdout)
    found = document(core, "--all", "--replace", "--mode", "driver")["attempts"]
    assert all(c.isprintable() for a in found for fix in a["fix"] for c in fix)


WRONG_USE = [
    (["nosuch"], "no device named 'nosuch' in any network namespace"),
    (
        ["veth_xxx0", "--netns", "pod1"],
        "no device named 'veth_xxx0' in the network namespace pod1",
    ),
    (["lo", "--netns", "nowhere"], "has the name, path or inode number nowhere"),
    (["xnata", "--program", "4294967295"], "ID 4294967295 is loaded"),
    (["xnata", "--all"], "name one or more devices, or use --all"),
    ([], "name one or more devices, or use --all"),
    (["vteh_xxx0"], "nearest: veth_xxx0"),
    (["veth_xxx0", "xdpdrv"], "; xdpdrv is a mode: --mode xdpdrv"),
    (["xnata", "--program", "zoo_devmap"], "an id (bpftool prog); zoo_devmap is 6"),
    (["xnata", "--program", "nosuch"], "takes an id (bpftool prog), not 'nosuch'"),
    (["xnata", "--then", "channels 48"], "; for example: channels rx 48"),
    (["--rule", "*drip*"], "matches '*drip*'; veth_report.py --explain lists them"),
    (["q24?x"], "no device named 'q24?x' in any network namespace; nearest: q24"),
    (["q24a", "--failing"], "--failing needs --all"),
    (["q24a", "--mode", "skbb"], "nearest: skb, xdpskb"),
    (["q24a", "--mode", "zzz"], "the modes are default, generic, driver, offload"),
    (["--rule", "xdp-peer"], "no rule is called 'xdp-peer'; nearest: xdp-peer-mtu"),
    (["q24a", "--rule", "no-peer"], "no device has a finding of no-peer"),
    (["--kind", "vet"], "no device is of kind vet; nearest: veth"),
    (["lo", "--netns", "pod"], "inode number pod; available: "),
    (["xnata", "--detach", "--via", "link"], "--detach uses netlink"),
    (["xnata", "--detach", "--frags"], "--detach takes no program"),
    (["xnata", "--program", "1", "--frags"], "--frags describes a new program"),
]


@pytest.mark.parametrize(
    "args,said",
    slow_but([*WRONG_USE[:3], WRONG_USE[-1]], WRONG_USE),
)
def test_wrong_use(core: Path, args: Any, said: str) -> None:
    assert said in refused(core, *args)


def test_a_name_that_several_have(core: Path) -> None:
    line = refused(core, "eth0")
    assert "5 devices are named 'eth0'" in line and "--netns" in line
    assert all(name in line for name in ("(pod1)", "(pod2)", "(pod3)"))


@pytest.mark.slow
def test_a_namespace_by_each_of_its_names(core: Path) -> None:
    by_name = run(core, "eth0", "--netns", "pod1").stdout
    inum = str(document(core, "eth0", "--netns", "pod1")["attempts"][0]["netns"])
    assert run(core, "eth0", "--netns", inum).stdout == by_name
    assert run(core, "eth0", "--netns", f"net:[{inum}]").stdout == by_name
    for same in ("/run/netns/pod1", "/var/run/netns/pod1", f"pod1@{inum}"):
        assert run(core, "eth0", "--netns", same).stdout == by_name


@pytest.mark.slow
def test_the_first_namespace_by_its_name(core: Path) -> None:
    by_name = run(core, "q24b").stdout
    for name in ("host", "init", "init_net"):
        assert run(core, "q24b", "--netns", name).stdout == by_name


@pytest.mark.slow
def test_several_namespaces(core: Path) -> None:
    """One of each is meant, in the order of the report."""
    both = document(core, "eth0", "--netns", "pod2", "--netns", "pod1")["attempts"]
    one = document(core, "eth0", "--netns", "pod1")["attempts"]
    two = document(core, "eth0", "--netns", "pod2")["attempts"]
    assert both == one + two
    everything = document(core, "--all", "--netns", "pod1", "--netns", "pod2")
    assert {a["netns"] for a in everything["attempts"]} == {
        one[0]["netns"],
        two[0]["netns"],
    }
