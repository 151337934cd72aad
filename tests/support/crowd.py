# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel with many processes in many namespaces and cgroups."""

import json
from pathlib import Path
from typing import Any

from drgn_veth.core.containers import NO_CONTAINERS, PATTERNS, example_of

from tests.support.booted import REPOSITORY, Dump, make_and_ask

__all__ = ("CONTAINERS", "ID", "NESTED", "NONE", "OTHER", "make_crowd")

_CROWD = REPOSITORY / "tests" / "vm" / "crowd.py"
ID, OTHER = 32 * "0f", 32 * "e1"
#: In a container in a container; and in none, as a runtime's own processes are.
NESTED = [f"/docker/{ID}/docker/{OTHER}", f"/docker/{ID}/kubelet/kubepods/pod1/{OTHER}"]
NONE = [example_of(path) for path in NO_CONTAINERS if path != "/"]
CONTAINERS = {
    example_of(pattern.example): pattern.runtime for pattern in PATTERNS
} | dict.fromkeys(NESTED, "docker")
CONTAINERS[NESTED[1]] = None


def make_crowd(kernel: str, folder: Path) -> tuple[Dump, dict[str, Any]]:
    """Make the dump, and return it with what /proc says of the processes."""
    folder.mkdir()
    # Both versions in turn; each path once.
    paths = [*CONTAINERS, *NONE]
    paths_json = folder / "paths.json"
    paths_json.write_text(json.dumps({"v2": paths[::2], "v1": paths[1::2]}))
    return make_and_ask(kernel, folder / "dump", _CROWD, paths_json)
