# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tools of the guest said, as truth.json has it."""

import functools
import json
from typing import Any, Optional

from tests.support.whose_truth import expected_labels

__all__ = (
    "DYING",
    "Key",
    "Truth",
    "cpu_list",
    "cpu_mask",
    "kernel_text",
    "text_json",
    "tool_json",
)

#: Why no list leads to what is in a namespace that is torn down.
DYING = "netns is dying"

_PEERED = ("veth", "netkit")
#: Devices on one that may be in another namespace, which sysfs does not show.
_STACKED = ("ipvlan", "ipvtap", "macvlan", "macvtap", "vlan")

#: The inode number of a namespace, and the number of a device in it.
Key = tuple[int, int]


def kernel_text(text: str) -> str:
    """Return a text of the truth as the contract has it."""
    # The truth has bytes that are not UTF-8 as surrogates, the contract as \xNN.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def tool_json(command: dict[str, Any]) -> Any:
    """Return what a tool said in JSON."""
    assert command["status"] == 0, command
    return text_json(command["stdout"])


def text_json(text: str) -> Any:
    """Return a text of a tool that is JSON."""
    return json.loads(text or "[]", strict=False)


def cpu_mask(text: str) -> list[int]:
    """Return the bits of a mask of sysfs."""
    mask = int(text.replace(",", ""), 16)
    return [bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def cpu_list(text: str) -> list[int]:
    """Return the numbers of a list of sysfs: ``0-2,5``; none for nothing."""
    cpus: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


class Truth:
    """What was said of each device, by its namespace and number."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said
        # What a tool says of a namespace is about all of its devices.
        self.shown = functools.cache(self._shown)
        self.links: dict[Key, dict[str, Any]] = {}
        self.by_name: dict[tuple[int, str], Key] = {}
        for inum_text, namespace in said["namespaces"].items():
            inum = int(inum_text)
            for link in tool_json(namespace["ip_link"]):
                key = inum, link["ifindex"]
                self.links[key] = link
                self.by_name[inum, link["ifname"]] = key
        self.frags = {r["id"]: r["frags"] for r in said["xdp"] if r["what"] == "prog"}
        self.bpf_links = {
            (r["netns"], r["ifindex"], r["prog_id"]): r["id"]
            for r in said["xdp"]
            if r["what"] == "link"
        }
        self.labels = expected_labels(said) if "whose" in said else {}
        dying = said["dying"]
        self.dying = dying["netns"] if dying else None
        self.progs = {p["id"]: p for p in tool_json(said["bpftool_prog"])}
        self.link_shown = {
            (e["id"], e["ifindex"], e["prog_id"])
            for e in tool_json(said["bpftool_link"])
            if e["type"] == "xdp"
        }

    def _shown(self, inum: int, command: str) -> Any:
        return tool_json(self.said["namespaces"][str(inum)][command])

    def reference(self, key: Key) -> dict[str, Any]:
        """Return a device as others refer to it."""
        name = kernel_text(self.links[key]["ifname"])
        reference = {"netns": key[0], "ifindex": key[1], "name": name}
        if key[0] == self.dying:
            reference["off_list"] = DYING
        return reference

    def kind(self, key: Key) -> Optional[str]:
        """Return the kind of a device, None if it has none."""
        kind: Optional[str] = self.links[key].get("linkinfo", {}).get("info_kind")
        return kind

    def sysfs(self, key: Key) -> dict[str, Any]:
        """Return what sysfs has of a device."""
        name = self.links[key]["ifname"]
        files: dict[str, Any] = self.said["namespaces"][str(key[0])]["sysfs"].get(name)
        assert files is not None, f"no sysfs for {name!r}"
        return files

    def _in(self, inum: int, nsid: int) -> int:
        # The namespace that another one numbers so.
        found: int = self.said["namespaces"][str(inum)]["nsids"][str(nsid)]
        return found

    def peer(self, key: Key) -> Optional[Key]:
        """Return the peer of a device, None if it has none."""
        link = self.links[key]
        if self.kind(key) not in _PEERED:
            return None
        if "link" in link:
            return self.by_name[key[0], link["link"]]
        if "link_index" not in link:
            return None
        nsid = link.get("link_netnsid")
        if nsid is None:
            return key[0], link["link_index"]
        return self._in(key[0], nsid), link["link_index"]

    def below(self, key: Key) -> Optional[Key]:
        """Return the device in another namespace that one is on, None if none."""
        link = self.links[key]
        if self.kind(key) not in _STACKED:
            return None
        nsid = link.get("link_netnsid")
        if nsid is None:
            return None
        return self._in(key[0], nsid), link["link_index"]

    @property
    def has_addresses(self) -> bool:
        """Whether the truth has the answer of `ip -j addr`."""
        return any("ip_addr" in ns for ns in self.said["namespaces"].values())
