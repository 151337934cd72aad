# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose a device is: before all else that is known of it."""

from drgn_veth.core.unreadable import Unreadable
from drgn_veth.model import Container, Namespace, NetTask
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.style import Style
from drgn_veth.render.whose import whose
import pytest

from tests.support.recorded import recorded_core
from tests.support.snapshots import pair

NAMESPACE = pair().namespaces[1]

ID, OTHER = "ab12" * 16, "cd34" * 16
PATH = f"/kubepods.slice/cri-containerd-{ID}.scope"


def lines(namespace: Namespace) -> list[str]:
    return list(whose("eth0 (pod1)", namespace, Style(60)))


def test_a_process_stands_with_its_container() -> None:
    namespace = NAMESPACE._replace(
        tasks=(
            NetTask(7, "sh", None),
            NetTask(8, "nginx", ID),
            NetTask(9, "nginx", ID),
            NetTask(10, "envoy", Unreadable("gone")),
        ),
        task_count=6,
        containers=(
            Container(ID, "containerd", "uid-1", PATH),
            Container(OTHER, "containerd", "uid-1", "/other"),
        ),
        mounts=(),
        names=(),
    )
    assert lines(namespace)[2:] == [
        "  pod uid-1",
        "  processes: sh (pid 7)",
        "  nginx (pid 8), nginx (pid 9) in containerd:ab12ab12ab12",
        # Longer than the screen, to be copied.
        f"    {PATH}",
        "  container containerd:cd34cd34cd34",
        "    /other",
        "  envoy (pid 10) in container ?",
        "  and 2 more processes",
    ]


def test_pods_that_differ_stand_with_their_containers() -> None:
    containers = tuple(
        Container(ID, "containerd", pod, PATH) for pod in ("uid-1", "uid-2")
    )
    said = "\n".join(lines(NAMESPACE._replace(containers=containers)))
    assert ", pod uid-1\n" in said and ", pod uid-2\n" in said
    assert "  pod uid" not in said


@pytest.mark.slow
def test_it_comes_first() -> None:
    whole = recorded_core("6.1-whose").snapshot
    device = next(one for one in whole.devices if one.name == "vethpod")
    text = devices_in_full([device], whole, ())
    before, _, _ = text.partition("\nkind")
    for said in (
        "vethpod (host)\n  namespace host ",
        "peer eth0 (containerd:6210c0bf0539)\n  namespace containerd:6210c0bf0539",
        "\n  pod 4b5e57f6-eb2f-42b9-039b-3d1e13929295\n",
        "\n  nginx (pid 258) in containerd:4b5e57f6eb2f\n",
    ):
        assert said in before
