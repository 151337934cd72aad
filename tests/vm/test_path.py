# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Where packets go, against where they went
-----------------------------------------

The scene ``path`` sends packets in many situations (vmcores/lab/guest/paths). What the
dump tells of each has to be what the kernel did, step by step.
"""

from collections.abc import Iterator

from drgn_veth.model import Snapshot
from drgn_veth.snapshot import take_snapshot
import pytest

from tests.support.booted import Dump, Tally
from tests.support.kernel import TYPES, program_of
from tests.support.oracle import Comparison
from tests.support.path_facts import compare_paths

#: Situations that some kernels do not have, by their first words, and why.
LACKS = {
    "5.10": {
        "channels": "ethtool -L on veth came with v5.15",
        "gro": "so did GRO without XDP, with v5.13",
    },
}


@pytest.fixture(scope="module", params=TYPES)
def snapshot(request: pytest.FixtureRequest, path_dump: Dump) -> Iterator[Snapshot]:
    yield take_snapshot(program_of(path_dump, request.param))


def test_every_step(snapshot: Snapshot, path_dump: Dump, tally: Tally) -> None:
    walked = compare_paths(snapshot, path_dump.truth["path"])
    name = f"{path_dump.made.kernel.release}: paths of {walked.situations} situations"
    tally[name] = Comparison(
        walked.compared, walked.differences, type(walked.compared)()
    )
    assert not walked.differences, "\n".join(walked.differences)
    assert walked.situations >= 100
    assert walked.flows > 400
