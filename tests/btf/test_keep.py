# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is kept of a kernel between its dumps."""

from drgn_veth.btf import keep
from drgn_veth.btf.keep import keep_types, kept
import pytest


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "_store", None)


def test_what_is_kept_is_bounded() -> None:
    made: list[str] = []

    def ask(name: str, size: int = 40) -> object:
        def make() -> object:
            made.append(name)
            return object()

        return kept(make, name, bytes(size), 1)

    assert ask("a") is not ask("a")
    keep_types(100)
    made.clear()
    first = ask("a")
    assert ask("a") is first and ask("b") is not first
    assert made == ["a", "b"]
    ask("a")
    ask("c")  # b was used the longest time ago
    assert ask("a") is first
    ask("b")
    assert made == ["a", "b", "c", "b"]
    ask("too large", 101)
    ask("too large", 101)
    assert made[-2:] == ["too large", "too large"] and ask("b")
    assert len(made) == 6


def test_an_error_is_not_kept() -> None:
    keep_types()

    def fail() -> None:
        raise ValueError("damaged")

    for _ in range(2):
        with pytest.raises(ValueError, match="damaged"):
            kept(fail, "x", b"data")
    assert kept(lambda: "sound", "x", b"data") == "sound"


def test_what_has_the_same_name_is_another() -> None:
    keep_types()
    assert kept(lambda: 1, "btf", b"one") == 1
    assert kept(lambda: 2, "btf", b"two") == 2
    assert kept(lambda: 3, "btf", b"one") == 1
