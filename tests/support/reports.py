# SPDX-License-Identifier: LGPL-2.1-or-later
"""JSON reports of Snapshots, to be changed and compared."""

from collections.abc import Callable
import copy
import functools
import json
from typing import Any

from drgn_veth.analysis.compare.comparison import compare
from drgn_veth.analysis.compare.document import read_report
from drgn_veth.analysis.compare.matching import stem_of
from drgn_veth.analysis.compare.records import Comparison, Wanted
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.model import Snapshot
from drgn_veth.render import json as render_json

from tests.support.recorded import recorded_core
from tests.support.snapshots import pair

__all__ = (
    "Document",
    "compared",
    "device_of",
    "document_of",
    "other_boot",
    "put",
    "recorded_report",
    "signs",
    "small",
)

Document = dict[str, Any]


def document_of(snapshot: Snapshot) -> Document:
    """Return the report of a Snapshot, as if it was read from a file."""
    found: Document = json.loads(render_json.render(snapshot, diagnose(snapshot)))
    return found


@functools.cache
def _text(name: str) -> str:
    return json.dumps(document_of(recorded_core(name).snapshot))


def recorded_report(name: str) -> Document:
    """Return the report of a recorded core, which may be changed."""
    found: Document = json.loads(_text(name))
    return found


def compared(a: Document, b: Document, **wanted: Any) -> Comparison:
    """Compare two documents."""
    return compare(read_report(a), read_report(b), Wanted(**wanted))


def device_of(document: Document, name: str) -> Any:
    """Return the first device of a name."""
    return next(one for one in document["devices"] if one["name"] == name)


def _shifted(value: Any, keys: dict[str, int]) -> Any:
    if isinstance(value, list):
        return [_shifted(one, keys) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        # The first device of a namespace is lo, on every boot.
        key: one + keys[key]
        if key in keys and isinstance(one, int) and (key, one) != ("ifindex", 1)
        else _shifted(one, keys)
        for key, one in value.items()
    }


def other_boot(document: Document) -> Document:
    """Return what a report is after a reboot in which all is set up as before."""
    shifts = {"netns": 1000, "inum": 1000, "ifindex": 100, "id": 7, "prog_id": 7}
    shifts.update({"link_id": 3, "load_time": 99999, "pid": 5000, "nsid": 3})
    made = copy.deepcopy(document)
    made = {
        **_shifted({key: made[key] for key in made if key != "findings"}, shifts),
        "findings": _shifted(made["findings"], shifts),
    }
    made["target"]["time"] = 1
    for i, device in enumerate(made["devices"]):
        device["net_device"] = hex(0xFFFF900000000000 + i * 4096)
        # A VLAN has an identifier that is not made up.
        if isinstance(device.get("vlan"), dict):
            device["vlan"]["id"] -= shifts["id"]
        if device["kind"] in ("veth", "netkit", "bridge") and device["mac"]:
            device["mac"] = f"02:11:22:33:{i // 256:02x}:{i % 256:02x}"
    return made


def small() -> Document:
    """A pair in two namespaces."""
    document = document_of(pair())
    for namespace in document["namespaces"]:
        namespace.update(task_count=0, tasks=[], containers=[])
    return document


_MIRROR = {"came": "went", "went": "came", "changed": "changed"}
_SIDES = {"a": "b", "b": "a", "both": "both"}


def signs(found: Comparison, mirrored: bool = False) -> Any:
    """Return what a comparison says, as it would if A were B."""

    def sign(change: str) -> str:
        return _MIRROR[change] if mirrored else change

    def changes(changes: Any) -> list[str]:
        said = []
        for key, old, new in changes:
            values = (new, old) if mirrored else (old, new)
            # Tokens number the devices of a comparison.
            said.append(f"{key}: {[getattr(v, 'name', v) for v in values]}")
        return sorted(said)

    def name(one: Any) -> Any:
        # A device that was renamed has the newer name.
        renamed = {c.key for c in one.changes} & {"name", "netns_label", "label"}
        if renamed:
            return None
        label = stem_of(one.netns) or one.netns
        return label, str(getattr(one, "name", ""))

    return {
        "target": changes(found.target),
        "namespaces": sorted(
            str((sign(n.change), name(n), changes(n.changes))) for n in found.namespaces
        ),
        "devices": sorted(
            str((sign(d.change), name(d), changes(d.changes))) for d in found.devices
        ),
        "pairs": sorted(
            str((sign(p.change), sorted(f"{e.netns} {e.name}" for e in (p.a, p.b))))
            for p in found.pairs
        ),
        "findings": sorted(
            str((sign(f.change), f.rule, changes(f.changes))) for f in found.findings
        ),
        "unknown": sorted(
            str((_SIDES[u.side] if mirrored else u.side, u.key)) for u in found.unknown
        ),
    }


def put(path: str, value: Any) -> Callable[[Any], None]:
    """Return what sets a value in a record, by its path."""
    *parents, last = path.split(".")

    def change(record: Any) -> None:
        for key in parents:
            record = record[key]
        record[last] = value

    return change
