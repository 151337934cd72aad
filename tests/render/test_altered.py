# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever could not be read, each command prints what could."""

import json
import os
import random
from typing import Callable, Optional

from drgn import Program
from drgn_veth.faces import (
    explain,
    netns_report,
    opening,
    rps,
    veth_report,
    xdp,
    xdp_attach,
)
from drgn_veth.faces.status import TargetError, UsageError
from drgn_veth.model import Snapshot
import pytest

from tests.support.less import altered
from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.reports import compared, document_of
from tests.support.schemas import validate
from tests.support.screens import assert_fits

#: For each core; 60 take ten minutes.
SEEDS = int(os.environ.get("SEEDS", 5))

_Main = Callable[[Optional[Program], Optional[list[str]]], int]

COMMANDS: list[tuple[_Main, list[str]]] = [
    (veth_report.main, []),
    (veth_report.main, ["--all", "--notes"]),
    (veth_report.main, ["--tree"]),
    (veth_report.main, ["*"]),
    (netns_report.main, ["--devices"]),
    (xdp_attach.main, ["--all"]),
    (xdp_attach.main, ["veth*"]),
    (rps.main, []),
    (xdp.main, []),
    (explain.main, ["ENOSPC", "peer-down"]),
    *(
        (veth_report.main, ["--format", format])
        for format in ("json", "csv", "svg", "dot", "html")
    ),
]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Snapshot], None]:
    """Run every command on a Snapshot."""

    def run(snapshot: Snapshot) -> None:
        monkeypatch.setattr(opening, "open_target", lambda *args, **kwargs: None)
        monkeypatch.setattr(opening, "take", lambda *args, **kwargs: snapshot)
        for main, args in COMMANDS:
            try:
                main(None, args)
            except (UsageError, TargetError) as e:
                assert "\n" not in str(e)
                continue
            said = capsys.readouterr().out
            if "json" in args:
                validate(json.loads(said))
            elif "--format" not in args:
                assert_fits(said, 80)
        document = document_of(snapshot)
        compared(document, document)

    return run


def test_nothing(run: Callable[[Snapshot], None]) -> None:
    """Neither namespaces nor devices."""
    run(recorded_core(EVERY_CORE[0]).snapshot._replace(devices=(), namespaces=()))


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_CORE)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_altered(run: Callable[[Snapshot], None], name: str, seed: int) -> None:
    run(altered(recorded_core(name).snapshot, random.Random(f"{name} {seed}")))
