# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces."""

from typing import Any, Optional

from .said import Truth, cpu_mask, kernel_text, tool_json

__all__ = ("expected_namespaces", "label_of")


def label_of(truth: Truth, inum: int) -> Optional[str]:
    """Return what a namespace is called, None if that takes more than this truth."""
    if inum == truth.dying:
        return f"net:{inum}"
    if "whose" in truth.said:
        return truth.labels[inum]
    namespace = truth.said["namespaces"][str(inum)]
    if namespace["init"]:
        return "host"
    if namespace["names"]:
        return kernel_text(namespace["names"][0])
    if not namespace["pids"] or namespace["mounts"]:
        return None
    first = min(namespace["pids"], key=lambda task: task["pid"])
    return f"pid:{first['pid']}({first['comm']})"


def _default_mask(namespace: dict[str, Any]) -> Optional[list[int]]:
    said = namespace["sysctl"]["net.core.rps_default_mask"]
    return cpu_mask(said) if isinstance(said, str) else None  # before v6.3


def expected_namespaces(truth: Truth) -> dict[int, dict[str, Any]]:
    """Return what each namespace has to have, by its inode number."""
    first = next(n for n in truth.said["namespaces"].values() if n["init"])
    nsids = {inum: int(nsid) for nsid, inum in first["nsids"].items()}
    found = {
        int(inum): {
            "init": namespace["init"],
            "names": [kernel_text(name) for name in namespace["names"]],
            "mounts": [kernel_text(path) for path in namespace["mounts"]],
            # One that dies has lost its number.
            "nsid": None if int(inum) == truth.dying else nsids.get(int(inum)),
            "rps_default_mask": None
            if int(inum) == truth.dying
            else _default_mask(namespace),
            "device_count": len(tool_json(namespace["ip_link"])),
            **({"dying": True} if int(inum) == truth.dying else {}),
        }
        for inum, namespace in truth.said["namespaces"].items()
    }
    for inum, values in found.items():
        label = label_of(truth, inum)
        if label is not None:
            values["label"] = label
    return found
