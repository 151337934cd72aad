# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures of Snapshots, read again, and a Snapshot whose every name is an attack."""

import html.parser
from typing import Any

from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.faces.picture import picture
from drgn_veth.model import Container, Holder, Namespace, NetTask, Snapshot
from drgn_veth.render.picture import layout, scene

from tests.support.snapshots import BAD, PROGRAM, pair

__all__ = (
    "ATTACKS",
    "Page",
    "hostile",
    "layout_of",
    "picture_of",
    "scene_of",
    "unreadable",
)

ATTACKS = (
    "</script><script>alert(1)</script>",
    "<script>alert(2)</script>",
    '"><img src=x onerror=alert(3)>',
    "' onmouseover='alert(4)",
    "</svg><script>alert(5)</script>",
    "</noscript><script>alert(6)</script>",
    "<!--<script>",
    "]]></style><b>bold",
    "&lt;i&gt; &amp; ${title} $data $",
    "a\u2028b\u2029c",
    "nul\0bell\x07esc\x1b[31m",
    "\udcff\ufffe\uffff",
    "\u202edrawkcab",
    '\\"\\N\\l"]; evil [label="x',
    "表表表表表表表表表表表表表表表表",
    "javascript:alert(7)",
)


class Page(html.parser.HTMLParser):
    """A page, parsed as a browser does that runs scripts, or none."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inside: dict[str, list[str]] = {"style": [], "script": [], "title": []}
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        last = self.open[-1] if self.open else ""
        if last in self.inside:
            self.inside[last][-1] += data
        else:
            self.text.append(data)


def hostile() -> Snapshot:
    """Return a Snapshot in which an attack is wherever a name is."""
    plain = pair()
    first, second = plain.devices
    host, pod = plain.namespaces
    devices = []
    namespaces = [host]
    for i, text in enumerate(ATTACKS):
        program = PROGRAM._replace(name=text)
        task = NetTask(100 + i, text, text)
        namespaces.append(
            Namespace(
                *(7000 + i, False, 1, i % 2 == 0, (text,), (text,), i, text),
                hostname=text,
                task_count=1,
                tasks=(task,),
                containers=(Container(text, text, text, text),),
                holders=(Holder(text, 1, text, 2),),
                holder_count=1,
            )
        )
        devices.append(
            first._replace(
                name=text,
                ifindex=10 + i,
                net_device=0xFFFF000000000000 + i,
                altnames=(text,),
                alias=text,
                kind=text if i % 2 else "veth",
                addresses=(text,),
                netns=7000 + i,
                netns_label=text,
                xdp=first.xdp._replace(generic=program),
                peer=None,
            )
        )
    target = plain.target._replace(release=ATTACKS[0], path=ATTACKS[2])
    return plain._replace(
        target=target,
        namespaces=(*namespaces, pod),
        devices=(first, *devices, second),
    )


def unreadable() -> Snapshot:
    """Return a Snapshot in which nothing that may be unreadable can be read."""
    plain = pair()

    def without(record: object, kept: tuple[str, ...]) -> object:
        fields = record._fields  # type: ignore[attr-defined]
        bad = {name: BAD for name in fields if name not in kept}
        return record._replace(**bad)  # type: ignore[attr-defined]

    first, second = plain.devices
    kept = (
        *("net_device", "queues", "xdp", "driver", "features", "off_list", "peer"),
        *("netns_label", "bond", "veth", "virtio_net", "matched"),
    )
    bad = without(first, kept)
    assert isinstance(bad, type(first))
    count = first.queues.rx._replace(real=BAD, allocated=BAD)
    bad = bad._replace(
        queues=first.queues._replace(rx=count, tx=count),
        xdp=first.xdp._replace(generic=BAD, driver=BAD, offload=BAD, queues=BAD),
        driver=first.driver._replace(name=BAD, ndo_bpf=BAD),
    )
    other = without(
        plain.namespaces[1],
        ("init", "device_count", "dying", "net", "label", "matched"),
    )
    assert isinstance(other, Namespace)
    assert isinstance(bad.name, Unreadable)
    return plain._replace(
        namespaces=(plain.namespaces[0], other), devices=(bad, second)
    )


def scene_of(snapshot: Snapshot) -> scene.Scene:
    """Return what a picture of a Snapshot shows."""
    return scene.make_scene(snapshot, diagnose(snapshot))


def layout_of(snapshot: Snapshot) -> layout.Layout:
    """Return where it is."""
    return layout.place_scene(scene_of(snapshot))


def picture_of(snapshot: Snapshot, format: str) -> str:
    """Return the file that ``--format`` makes."""
    return picture(format, snapshot, snapshot, diagnose(snapshot))
