# SPDX-License-Identifier: LGPL-2.1-or-later
"""One walk over the open files of all tasks, for namespaces and for BPF links."""

from collections.abc import Iterator
from typing import Any

from drgn_veth import take_snapshot
from drgn_veth.readers.files import for_each_open_file
from drgn_veth.readers.netns import for_each_net_bounded
from drgn_veth.snapshot import open_files
from drgn_veth.snapshot.open_files import OpenFiles
import pytest

from tests.support.recorded import EVERY_CORE, Recorded, recorded_core

NAMES = [name for name in EVERY_CORE if name.endswith(("-whose", "6.1-zoo"))]


@pytest.fixture(scope="module", params=NAMES)
def core(request: pytest.FixtureRequest) -> Recorded:
    return recorded_core(request.param)


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was walked."""
    walked: list[object] = []
    walk = for_each_open_file

    def counted(prog: Any, look: Any) -> Iterator[Any]:
        walked.append(prog)
        return walk(prog, look)

    monkeypatch.setattr(open_files, "for_each_open_file", counted)
    return walked


@pytest.mark.slow
def test_both_have_something_to_find() -> None:
    snapshots = [recorded_core(name).snapshot for name in NAMES]
    assert any(ns.holders for snapshot in snapshots for ns in snapshot.namespaces)
    assert any(link.tasks for snapshot in snapshots for link in snapshot.links)


@pytest.mark.slow
def test_one_walk_for_both(core: Recorded, walks: list[object]) -> None:
    """It finds what walks for one of them find, and nothing of the other is lost."""
    nets = {net.value_() for net in for_each_net_bounded(core.prog)}
    both = OpenFiles(core.prog)
    holding, lost = both.of_namespaces(nets)
    links = both.of_links()
    assert both.of_links() is links
    assert len(walks) == 1
    assert links == OpenFiles(core.prog).of_links()
    assert len(walks) == 2
    files = [one.file for one in holding]
    assert len(files) == len(set(files))
    assert not set(files) & {file for held in links.values() for file in held}
    # The recorded cores have no sockets where no report had to look for them.
    if core.name.endswith("-whose"):
        assert lost is None and {one.kind for one in holding} == {"fd", "socket"}
    else:
        assert links


@pytest.mark.slow
def test_one_walk_for_a_snapshot(core: Recorded, walks: list[object]) -> None:
    expected = core.snapshot
    walks.clear()
    assert take_snapshot(core.prog) == expected
    assert len(walks) == 1
