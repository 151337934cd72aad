# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Kernels of other machines
-------------------------

What they have been asked is in test_answers.py, what their code says in test_code.py.
makedumpfile may refuse them: their dump is /proc/vmcore as it was, an ELF file.
"""

import json

from drgn.helpers.linux.cpumask import cpu_online_mask
from drgn_veth.readers.cpumask import cpumask_cpus, online_cpus
import pytest

from tests.support import oracle
from tests.support.booted import WORDS, Dump, Tally, settled, words_in
from tests.support.kernel import program_of
from tests.support.schemas import validate

#: What was looked at, and as what it is known.
SOURCES = (("kdump", "elf"), ("elf", "elf"), ("qemu", "qemu"))


@pytest.mark.parametrize(("source", "kind"), SOURCES)
@pytest.mark.parametrize("types", ["dwarf", "btf"])
def test_every_value(
    elsewhere: Dump, source: str, kind: str, types: str, tally: Tally
) -> None:
    report = elsewhere.report(source, types)
    comparison = oracle.compare(report, elsewhere.truth)
    tally[f"{elsewhere.made.kernel.release} zoo {source} {types}"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert sum(comparison.compared.values()) > 5000
    assert report["unreadable"] == []
    target = report["target"]
    assert (target["kind"], target["types"]) == (kind, types)
    assert target["arch"] == elsewhere.truth["kernel"]["machine"]
    assert not [one for one in report["findings"] if "undecided" in one]
    validate(report)


@pytest.mark.parametrize("source", ["elf", "qemu"])
def test_slice(elsewhere: Dump, source: str, tally: Tally) -> None:
    report = elsewhere.report(source, "slice")
    comparison = oracle.compare(report, elsewhere.truth)
    tally[f"{elsewhere.made.kernel.release} zoo {source} slice"] = comparison
    assert not comparison.differences, "\n".join(comparison.differences)
    assert report["unreadable"] == []
    assert elsewhere.words_in_memory() == list(WORDS)
    assert words_in(elsewhere.slice_of(source)) == []


def test_all_sources_agree(elsewhere: Dump) -> None:
    texts = [elsewhere.report_text(source) for source, _ in SOURCES]
    reports = [json.loads(settled(text)) for text in texts]
    for report in reports:
        for name in ("kind", "path", "time"):
            del report["target"][name]
    assert all(report == reports[0] for report in reports)


def test_cpus_that_the_crash_path_stopped(elsewhere: Dump) -> None:
    """It clears their bits of __cpu_online_mask, and online_cpus() knows better."""
    prog = program_of(elsewhere, "dwarf")
    assert len(cpumask_cpus(cpu_online_mask(prog))) == 1
    assert list(online_cpus(prog)) == [0, 1, 2, 3]
    of_dump, before = (
        [one for one in report["findings"] if one["rule"] == "queues-cpus"]
        for report in (elsewhere.report("kdump"), elsewhere.report("elf"))
    )
    assert len(before) > 10 and of_dump == before
