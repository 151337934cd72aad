# SPDX-License-Identifier: LGPL-2.1-or-later
"""What namespaces are called."""

from typing import Any

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Container, Holder, Namespace, NetTask
from drgn_veth.snapshot.labels import label_namespaces
import pytest

BAD = Unreadable("gone")
DOCKER = Container("9f86d081884c7d659a2f", "docker", None, "/docker/9f86")
EVERYTHING: dict[str, Any] = {
    "names": ("pod1", "pod2"),
    "containers": (DOCKER,),
    "mounts": ("/var/lib/x/ns7",),
    "tasks": (NetTask(220, "sleep", None),),
    "holders": (Holder("socket", 5, "nc", None), Holder("fd", 6, "sh", 9)),
}


def _label(**changes: Any) -> str:
    (labelled,) = label_namespaces([Namespace(77, False, 1, net=0xFF00)])
    assert labelled.label == "net:77"
    first = Namespace(77, False, 1, net=0xFF00)._replace(**changes)
    return label_namespaces([first])[0].label


def test_the_best_that_there_is() -> None:
    left = dict(EVERYTHING)
    assert _label(init=True, **left) == "host"
    for name, label in (
        ("names", "pod1"),
        ("containers", "docker:9f86d081884c"),
        ("mounts", "ns7"),
        ("tasks", "pid:220(sleep)"),
        ("holders", "fd:6/9"),
    ):
        assert _label(**left) == label
        assert _label(**{**left, name: BAD}) == _label(**{**left, name: ()})
        del left[name]
    assert _label(other_mounts=("/run/ns/in-a-container",)) == "in-a-container"
    assert _label(tasks=(NetTask(7, BAD, None),)) == "pid:7(?)"
    assert _label(tasks=(NetTask(BAD, "sh", None),)) == "net:77"
    assert _label(inum=BAD) == "net:0xff00"


@pytest.mark.parametrize(
    "runtime, label",
    [
        ("lxc", "lxc:web-frontend-1"),
        ("systemd-nspawn", "systemd-nspawn:web-frontend-1"),
        ("docker", "docker:web-frontend"),
        (None, "container:web-frontend"),
    ],
)
def test_containers_with_names(runtime: Any, label: str) -> None:
    assert Container("web-frontend-1", runtime, None, "/").label == label


def test_labels_are_unique() -> None:
    same = [
        Namespace(1, True, 1),
        Namespace(2, False, 1, names=("host",)),
        Namespace(3, False, 1, names=("a",)),
        Namespace(4, False, 1, mounts=("/x/a",)),
        Namespace(5, False, 1, names=("b",)),
        Namespace(BAD, False, 1, names=("a",), net=0xFF),
    ]
    labels = [namespace.label for namespace in label_namespaces(same)]
    assert labels == ["host", "host@2", "a@3", "a@4", "b", "a@0xff"]
