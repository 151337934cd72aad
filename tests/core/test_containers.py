# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers, as cgroup paths tell of them."""

import re

from drgn_veth.core.containers import (
    NO_CONTAINERS,
    PATTERNS,
    PODS,
    Pattern,
    containers_in,
    example_of,
)
import pytest

ID, OTHER = 32 * "0f", 32 * "e1"
UID = example_of("<UID>")
#: The runtimes that have to be known.
RUNTIMES = {
    *("buildkit", "containerd", "cri-o", "docker", "garden", "lxc", "podman"),
    "systemd-nspawn",
}


def id_in(pattern: Pattern) -> str:
    """Return the id that an example has."""
    (word,) = re.findall("<(?:BUILD|HANDLE|ID|NAME|UNIT)>", pattern.pattern)
    return example_of(word).replace(r"\x2d", "-")


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.example)
def test_example_of_a_pattern(pattern: Pattern) -> None:
    path = example_of(pattern.example)
    (found,) = containers_in(path)
    assert (found.runtime, found.id) == (pattern.runtime, id_in(pattern))
    assert found.pod == (UID if UID.replace("-", "_") in path or UID in path else None)
    # What is below the container is in it, and what is beside it is not.
    assert path.startswith(found.cgroup)
    assert containers_in(found.cgroup) == (found,)
    assert containers_in(f"{found.cgroup}/a/b.service") == (found,)
    assert not containers_in(found.cgroup.rpartition("/")[0])
    assert not containers_in(f"{found.cgroup}x/a") or found.runtime == "lxc"


def test_all_runtimes_have_a_pattern() -> None:
    assert {pattern.runtime for pattern in PATTERNS} >= RUNTIMES


@pytest.mark.parametrize("pattern", PODS, ids=lambda p: p.example)
def test_example_of_a_pod(pattern: Pattern) -> None:
    path = example_of(pattern.example)
    assert not containers_in(path)
    (found,) = containers_in(f"{path}/{ID}")
    assert (found.pod, found.id, found.runtime) == (UID, ID, None)


def test_static_pod() -> None:
    (found,) = containers_in(f"/kubepods/burstable/pod{ID[:32]}/{ID}")
    assert found.pod == ID[:32]


@pytest.mark.parametrize("example", NO_CONTAINERS)
def test_no_container(example: str) -> None:
    assert not containers_in(example_of(example))


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID[:-1]}",
        f"/docker/{ID.upper()}",
        f"/docker/{ID}0",
        f"/system.slice/docker-{ID}",
        f"/system.slice/xdocker-{ID}.scope",
        f"/system.slice/libpod-{ID}.service",
        "/machine-x.scope",
        "/lxc",
        "/lxc.payload.",
        "/garden/9fd0ba3f",
        "",
    ],
)
def test_almost_a_container(path: str) -> None:
    assert not containers_in(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/docker/{ID}/docker/{OTHER}", [("docker", ID), ("docker", OTHER)]),
        (
            f"/system.slice/docker-{ID}.scope/kubelet/kubepods/pod{UID}/{OTHER}",
            [("docker", ID), (None, OTHER)],
        ),
        (
            f"/lxc.payload.c1/lxc.payload.c2/system.slice/docker-{ID}.scope/x",
            [("lxc", "c1"), ("lxc", "c2"), ("docker", ID)],
        ),
    ],
)
def test_containers_in_containers(path: str, expected: list[tuple[str, str]]) -> None:
    assert [(found.runtime, found.id) for found in containers_in(path)] == expected


def test_pod_of_containers_in_containers() -> None:
    """A pod's container may run more: all are in the pod, and none around it is."""
    pod = f"/kubepods/burstable/pod{UID}"
    path = f"/docker/{ID}/kubelet{pod}/{ID}/docker/{OTHER}"
    assert [found.pod for found in containers_in(path)] == [None, UID, UID]


def test_long_path_takes_no_time() -> None:
    path = "/machine.slice" + 200 * "/machine-x-kubepods-pod.scop" + 2000 * "-"
    assert not containers_in(path)
