# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a shell may complete, and words that are no subcommand."""

import sys
import types
from typing import Any, Optional

from drgn_veth.faces import cli, commands
from drgn_veth.faces.status import UsageError
import pytest


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The parsers that argcomplete was given."""
    made: list[Any] = []

    def autocomplete(parser: Any, **options: Any) -> None:
        made.append(parser)

    package = types.ModuleType("argcomplete")
    package.autocomplete = autocomplete  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "argcomplete", package)
    return made


def _options(parser: Any) -> dict[str, int]:
    # How many options each subcommand has.
    (group,) = parser._subparsers._group_actions
    return {name: len(one._actions) for name, one in group.choices.items()}


@pytest.mark.parametrize(
    ("line", "full"),
    [
        ("drgn-veth attach --", "attach"),
        ("drgn-veth -c core attach --", "attach"),
        ("drgn-veth attach", "attach"),
        ("drgn-veth report", "report"),
        ("drgn-veth --", None),
        ("drgn-veth core", None),
        ("drgn-veth", None),
        ("", None),
    ],
)
def test_what_a_shell_completes(
    line: str, full: Optional[str], offered: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options of the subcommand that is there; else the subcommands."""
    monkeypatch.setenv("COMP_LINE", line)
    cli.complete()
    (parser,) = offered
    options = _options(parser)
    assert set(options) == set(commands.FACES)
    # --help alone.
    assert {name for name, number in options.items() if number > 1} == (
        {full} if full else set()
    )


def test_a_parser_with_all_subcommands() -> None:
    options = _options(cli.whole_parser())
    assert set(options) == set(commands.FACES)
    assert min(options.values()) > 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["atach"], "'atach'; did you mean attach?; for a device, drgn-veth report at"),
        (["%%%"], "no file or subcommand is called '%%%'; there are report, "),
        (["help", "atach"], "no subcommand is called 'atach'; did you mean attach?"),
        (["help", "%%%"], "no subcommand is called '%%%'; there are report, "),
        (["help", "attach", "lo"], "help takes one subcommand: drgn-veth help attach"),
    ],
)
def test_no_such_subcommand(argv: list[str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        cli.main(None, argv)
    assert said in str(raised.value)


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(None, ["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out.startswith("drgn-veth ")
