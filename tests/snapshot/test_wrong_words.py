# SPDX-License-Identifier: LGPL-2.1-or-later
"""Words that a report reads are wrong in turn, pages are missing in turn."""

from collections.abc import Callable
import itertools
import os

from drgn_veth.core import errors
import pytest

from tests.support.recorded import recorded_core
from tests.support.wrong_words import WrongWords, to_endless

pytestmark = pytest.mark.slow

#: Another one finds other things: DRGN_VETH_SEED=2 make test-slow.
SEED = int(os.environ.get("DRGN_VETH_SEED", "1"))
LEAST_CASES = 20_000
ENDLESS = 1_200
AT_A_TIME = 40


@pytest.mark.parametrize("name", ["5.10-zoo", "7.3-zoo"])
def test_each_is_wrong_in_turn(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    wrong_words = WrongWords(recorded_core(name).prog, SEED)
    cases = 0
    for wrong in itertools.chain(
        wrong_words.of_pages(AT_A_TIME), wrong_words.of_words(AT_A_TIME)
    ):
        found = wrong_words.problem(wrong)
        assert found is None, f"seed {SEED}: {wrong_words.least(found)}"
        cases += len(wrong)
    assert cases == 2 * len(wrong_words.words) > LEAST_CASES
    record_property(name, f"{wrong_words}; {cases:,} were wrong or missing")


@pytest.mark.parametrize("name", ["5.10-zoo", "6.1-whose", "7.3-zoo"])
def test_where_nothing_ends(name: str) -> None:
    """Lists of which each is sound, and has no end."""
    wrong_words = WrongWords(recorded_core(name).prog, SEED)
    for wrong in itertools.islice(wrong_words.endless(AT_A_TIME), ENDLESS // AT_A_TIME):
        found = wrong_words.problem(wrong)
        assert found is None, f"seed {SEED}: {wrong_words.least(found)}"


def test_tasks_without_an_end() -> None:
    """The slice lacks nr_threads, which would bound the walk."""
    prog = recorded_core("6.1-whose").prog
    first = prog["init_task"].tasks.next.value_()
    wrong_words = WrongWords(prog, SEED)
    for part in range(4):
        assert wrong_words.problem({first: to_endless(part)}) is None


def test_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not expect a missing page."""
    wrong_words = WrongWords(recorded_core("7.3-zoo").prog, SEED)
    assert wrong_words.problem({}) is None
    wrong = next(wrong_words.of_pages())
    assert wrong_words.problem(wrong) is None
    monkeypatch.setattr(errors, "READ_ERRORS", (KeyError,))
    monkeypatch.setattr(errors, "is_read_error", lambda e: isinstance(e, KeyError))
    found = wrong_words.problem(wrong)
    assert found is not None
    assert 1 <= len(wrong_words.least(found).words) < len(wrong)
