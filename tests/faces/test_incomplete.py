# SPDX-License-Identifier: LGPL-2.1-or-later
"""A list of devices that breaks off: every command says that it knows only a part."""

from collections.abc import Callable, Iterable
from typing import Any

from drgn_veth.faces import drops, explain, opening, rps, veth_report, xdp, xdp_attach
import pytest

from tests.support.recorded import recorded_core

#: Each shows something else of a kernel.
COMMANDS: Iterable[tuple[Callable[..., int], list[str]]] = (
    (veth_report.main, []),
    (xdp.main, []),
    (rps.main, []),
    (drops.main, []),
    (xdp_attach.main, ["--all", "--failing"]),
    (xdp_attach.main, ["--all", "--format", "json"]),
    (explain.main, ["ENOSPC"]),
)


@pytest.mark.parametrize("names", ["*", "lo"])
def test_it_is_said(
    names: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = recorded_core("5.10-zoo")
    whole = recorded.snapshot
    part = whole._replace(
        devices=tuple(d for d in whole.devices if names in ("*", d.name)),
        incomplete=(("devices", "the list of devices breaks off"),),
    )

    def take(*_: Any, **__: Any) -> Any:
        return part

    monkeypatch.setattr(opening, "take", take)
    for main, words in COMMANDS:
        assert main(recorded.prog, words) == 0
        said = capsys.readouterr()
        assert said.out
        assert "the list of devices breaks off" in said.err, (main, words, said.out)
