# SPDX-License-Identifier: LGPL-2.1-or-later
"""The examples in docs/ and in docstrings print what they say."""

import doctest
import importlib.util
from pathlib import Path
import pkgutil
from typing import Any

import drgn
import drgn_veth
from drgn_veth.btf import use_btf
import pytest

from tests.support.examples import examples_in, known_at_prompt, run_examples
from tests.support.recorded import recorded_core
from tests.support.scripts import REPOSITORY
from tests.support.slow import slow_but

#: As docs/prompt.md says.
NAME = "6.12-zoo"
PAGES = sorted(
    path for path in (REPOSITORY / "docs").glob("*.md") if ">>> " in path.read_text()
)
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(drgn_veth.__path__, "drgn_veth.")
    if not module.name.endswith("__main__")
)


@pytest.fixture(scope="module")
def core() -> Path:
    return recorded_core(NAME).core


def _fenced(text: str) -> str:
    # The code between fences, with as many lines as the page.
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        fence = line.startswith("```")
        kept.append(line if inside and not fence else "")
        inside ^= fence
    return "\n".join(kept) + "\n"


@pytest.mark.parametrize(
    "page", slow_but(PAGES[-1:], PAGES), ids=lambda path: path.name
)
def test_page(page: Path, core: Path) -> None:
    examples = examples_in(_fenced(page.read_text()))
    assert len(examples) == page.read_text().count("\n>>> ")
    run_examples(examples, known_at_prompt(core), page.name)


def test_there_are_pages() -> None:
    assert "prompt.md" in [path.name for path in PAGES]


@pytest.fixture(scope="module")
def prompt(core: Path) -> dict[str, Any]:
    """What a prompt knows where drgn-veth is imported, as on the pages."""
    known = known_at_prompt(core)
    use_btf(known["prog"])
    return {**known, **{name: getattr(drgn_veth, name) for name in drgn_veth.__all__}}


def _may_have_examples(module: str) -> bool:
    # Not all packages that a module imports need be here.
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    return ">>> " in Path(spec.origin).read_text()


def _examples(module: str) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = finder.find(importlib.import_module(module), module)
    return [test for test in found if test.examples]


WITH_EXAMPLES = list(filter(_examples, filter(_may_have_examples, MODULES)))


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_docstrings(module: str, prompt: dict[str, Any]) -> None:
    """Each knows what its module knows, and what a drgn prompt does."""
    drgn.set_default_prog(prompt["prog"])
    for test in _examples(module):
        known = {**prompt, **vars(importlib.import_module(module))}
        run_examples(test.examples, known, test.name)


#: Main helpers, which a user meets first.
SHOWN = (
    "bond_mode",
    "dev_get_flags",
    "dev_get_stats",
    "dev_net",
    "dev_xdp_link",
    "dev_xdp_prog",
    "for_each_net_bounded",
    "for_each_netdev_bounded",
    "for_each_xdp_prog",
    "netdev_driver_name",
    "netdev_for_each_upper_dev",
    "netdev_master_upper_dev_get",
    "netdev_num_rx_queues",
    "netdev_op",
    "netdev_peer",
    "netdev_real_num_rx_queues",
    "netdev_rps_flow_entries",
    "netdev_rps_map",
    "netdev_xps_queues",
    "netkit_peer",
    "rps_map_cpus",
    "rps_sock_flow_entries",
    "rx_queue_rps_flow_entries",
    "softnet_stat",
    "take_snapshot",
    "veth_peer",
    "veth_rqs",
)


def test_main_helpers_have_examples() -> None:
    names = {
        test.name.rpartition(".")[2] for m in WITH_EXAMPLES for test in _examples(m)
    }
    assert names >= set(SHOWN)
    assert set(drgn_veth.__all__) >= set(SHOWN)
