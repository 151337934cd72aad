# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names in slices: listed, or left out."""

import lzma
from pathlib import Path
import re
from typing import Any

from drgn import Program
from drgn_veth.btf import use_btf
from drgn_veth.core.unreadable import Unreadable
from drgn_veth.faces.disclosed import KINDS
from drgn_veth.faces.slice import Slice, check_slice, slice_target
from drgn_veth.model import Device, DeviceRef, Snapshot
from drgn_veth.render.escape import for_terminal
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.recorded import CORES, recorded_core
from tests.support.scripts import SLICE_SCRIPT
from tests.support.warm import run_warm

NEWEST = [name for name in CORES if name.endswith("-zoo")][-1]


@pytest.fixture(scope="module")
def whole() -> Snapshot:
    return recorded_core(NEWEST).snapshot


@pytest.fixture(scope="module")
def nameless() -> Slice:
    return slice_target(recorded_core(NEWEST).prog, names=False)


def secrets_of(whole: Snapshot) -> set[bytes]:
    """Return what must not be in a slice without names, as it is in memory."""
    found: set[bytes] = set()
    for device in whole.devices:
        if isinstance(device.alias, str):
            # As far as it is plain text.
            found.add(re.split(r"[^ -\[\]-~]", device.alias)[0].encode())
        if isinstance(device.mac, str) and re.fullmatch(r"..(:..){5}", device.mac):
            found.add(bytes.fromhex(device.mac.replace(":", "")))
    for namespace in whole.namespaces:
        containers = namespace.containers
        for container in containers if isinstance(containers, tuple) else ():
            found.add(container.id.encode())
    return {secret for secret in found if len(set(secret)) > 3}


@pytest.mark.slow
def test_no_byte_of_a_name(whole: Snapshot, nameless: Slice) -> None:
    secrets = secrets_of(whole)
    assert len(secrets) > 20
    memory = b"\0".join(data for _, data in nameless.segments)
    with_names = slice_target(recorded_core(NEWEST).prog)
    before = b"\0".join(data for _, data in with_names.segments)
    assert all(secret in before for secret in secrets)
    assert not [secret for secret in secrets if secret in memory]


def _unlabelled(value: Any) -> Any:
    # Labels are made of names.
    if isinstance(value, DeviceRef):
        return value._replace(label="")
    if isinstance(value, Device):
        value = value._replace(netns_label="")
    if isinstance(value, tuple):
        return tuple(map(_unlabelled, value))
    return value


@pytest.mark.slow
def test_report_without_names(whole: Snapshot, nameless: Slice, tmp_path: Path) -> None:
    """It is the same in all else, and says what is missing."""
    path = tmp_path / "nameless.core"
    with path.open("wb") as f:
        nameless.write(f)
    check_slice(str(path), nameless)
    prog = Program()
    prog.set_core_dump(path)
    use_btf(prog)
    taken = take_snapshot(prog)
    assert len(taken.devices) == len(whole.devices)
    for device, known in zip(taken.devices, whole.devices):
        assert isinstance(device.alias, Unreadable) == (known.alias is not None)
        assert isinstance(device.mac, Unreadable) == bool(known.mac)
        assert isinstance(device.addresses, Unreadable) == bool(known.addresses)
        left = device._replace(
            alias=known.alias, mac=known.mac, addresses=known.addresses
        )
        assert _unlabelled(left) == _unlabelled(known)
    assert _unlabelled(taken.pairs) == _unlabelled(whole.pairs)
    for link, known_link in zip(taken.links, whole.links):
        assert not isinstance(link.tasks, Unreadable)
        for holder in link.tasks or ():
            assert isinstance(holder.comm, Unreadable)
        left_link = link._replace(tasks=known_link.tasks)
        assert _unlabelled(left_link) == _unlabelled(known_link)


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_list(whole: Snapshot, tmp_path: Path, packed: bool) -> None:
    core = recorded_core(NEWEST)
    path = core.packed if packed else core.core
    done = run_warm(SLICE_SCRIPT, "--list", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    there, none = done.stdout.splitlines(), []
    while there[-1].endswith(": none"):
        none.append(there.pop())
    lines = there
    assert lines == sorted(set(lines))
    kinds = {line.split(None, 1)[0] for line in lines}
    assert sorted(none) == sorted(
        f"{KINDS[what]}: none" for what in KINDS.keys() - kinds
    )
    told = {tuple(line.split(None, 1)) for line in lines}
    for device in whole.devices:
        name = for_terminal(device.name) if isinstance(device.name, str) else None
        assert name is None or ("device", name) in told
        assert not device.mac or ("address", device.mac) in told
    for namespace in whole.namespaces:
        for name in namespace.names if isinstance(namespace.names, tuple) else ():
            assert ("namespace", name) in told
    assert ("alias", "uplink to pod1, rack 7") in told
    assert "\x1b" not in done.stdout


def test_list_of_what_is_no_slice(tmp_path: Path) -> None:
    broken = tmp_path / "broken.core.xz"
    broken.write_bytes(lzma.compress(b"nothing")[:-9])
    for path in (broken, tmp_path / "absent.xz", tmp_path / "absent"):
        done = run_warm(SLICE_SCRIPT, "--list", str(path))
        assert done.returncode == 3
        assert len(done.stderr.splitlines()) == 1
