# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What people met
---------------

Cases from public reports, damage that once misled a report, and kernels that differ:
which tests have each. A test that is renamed or lost is noticed here.
"""

import ast
from collections.abc import Mapping, Sequence
import functools
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
_DAMAGED_CORE = "snapshot/test_damaged_core.py"

#: By case: ``FILE::TEST``, within tests/.
CASES: Mapping[str, Sequence[str]] = {
    # Machines that drop packets, or spread them badly.
    "CPUs are taken offline, their masks stay": (
        "vm/test_rules.py::test_findings_are_where_the_symptoms_are",
        "analysis/rules/test_rps.py::test_mask_whose_cpus_are_offline_steers_nothing",
    ),
    "masks were set before there were so many queues": (
        "vm/test_rules.py::test_findings_are_where_the_symptoms_are",
    ),
    "a redirect to what is no veth": (
        "vm/test_path.py::test_every_step",
        "analysis/path/test_redirect.py::test_what_it_may_redirect_to",
    ),
    "RFS without one of its halves": (
        "vm/test_rules.py::test_findings_are_where_the_symptoms_are",
        "analysis/rules/test_rps.py::test_global_flow_table_without_one_of_a_queue",
    ),
    "a generic program with fragments on lo": (
        "analysis/test_shown.py::test_loopback_with_a_program_is_shown",
    ),
    "a program does not see the outer VLAN tag": (
        "vm/test_rules.py::test_findings_are_where_the_symptoms_are",
        "analysis/rules/test_xdp.py::test_offload_of_an_older_kernel",
    ),
    "unfinished checksums": (
        "analysis/rules/test_xdp.py::test_checksums_of_what_is_redirected",
    ),
    "isolated CPUs, and the default mask": (
        "vm/test_rules.py::test_findings_are_where_the_symptoms_are",
        "analysis/rules/test_rps.py::test_mask_without_the_isolated_cpus",
    ),
    "an AF_XDP queue that is taken": (
        "vm/test_maps.py::test_bind_to_a_queue_that_has_a_socket",
    ),
    "programs behind a dispatcher": ("vm/test_maps.py::test_findings",),
    # Whose it is.
    "a namespace that is torn down for minutes": ("vm/test_teardown.py::test_report",),
    "a namespace that only a file or a socket holds": (
        "vm/test_whose.py::test_every_namespace",
        "snapshot/test_holding_files.py::test_files_that_hold_a_namespace",
    ),
    "which container it is": (
        "vm/test_tasks.py::test_containers",
        "core/test_containers.py::test_example_of_a_pattern",
    ),
    # Files.
    "a disk that was full": (
        "vm/test_files.py::test_a_disk_that_was_full",
        "dump/test_dump_files.py::test_an_incomplete_kdump",
    ),
    "one part of a split dump": (
        "vm/test_files.py::test_a_split_dump",
        "dump/test_dump_files.py::test_a_part_of_a_split_kdump",
    ),
    "a dump without VMCOREINFO": ("vm/test_files.py::test_a_dump_without_vmcoreinfo",),
    "/proc/kcore that is masked": ("faces/test_files.py::test_kcore_that_is_masked",),
    "files of hypervisors": ("faces/test_files.py::test_file_that_is_no_dump",),
    "files as the first words": (
        "vm/test_files.py::test_as_arguments",
        "faces/test_files.py::test_symbols_as_core",
    ),
    # Answers to an attach.
    "a bond whose slave has an unknown driver": (
        "analysis/attach/test_advice.py::test_errors_of_a_slave_of_an_unknown_driver",
    ),
    "a VLAN device that takes no native program": (
        "analysis/attach/test_advice.py::test_the_device_below_a_vlan",
    ),
    "what the caller can get wrong": (
        "analysis/attach/test_advice.py::test_what_the_caller_can_get_wrong",
        "vm/test_answers.py::test_mistakes_of_a_caller",
    ),
    # Damaged memory.
    "a list that skips devices": (
        "snapshot/test_damaged_memory.py::test_list_that_skips_devices",
    ),
    "half a struct veth_rq": (
        "snapshot/test_damaged_members.py::test_half_a_veth_rq_may_be_lost",
    ),
    "counts that the queues deny": (
        "vm/test_hostile.py::test_counts_that_the_queues_deny",
        "snapshot/test_damaged_memory.py::test_counts_that_the_queues_deny",
    ),
    "a pointer that makes a walk without an end": (
        "snapshot/test_hostile_memory.py::test_the_whole_process",
        "snapshot/test_wrong_words.py::test_where_nothing_ends",
    ),
    "130,000 invented devices": (
        "snapshot/test_hostile_memory.py::test_the_whole_process",
    ),
    "names that no kernel accepts": (
        "snapshot/test_damaged_memory.py::test_names_that_no_kernel_accepts",
    ),
    "a damaged VMCOREINFO": ("dump/test_dump_files.py::test_damaged_vmcoreinfo",),
    "a damaged kallsyms": (
        f"{_DAMAGED_CORE}::test_drgn_is_not_asked_to_unpack_what_is_no_name",
    ),
    "cells that a spreadsheet runs": ("render/test_csv.py::test_any_name",),
    "what an ended process leaves behind": (
        "faces/test_signals.py::test_ended_slice_leaves_nothing",
        "faces/test_signals.py::test_ended_compare_leaves_nothing",
    ),
    # Kernels that differ.
    "XDP before net_device.xdp_state": (
        "snapshot/test_other_kernels.py::test_programs_before_xdp_state",
        "snapshot/test_other_kernels.py::test_report_before_xdp_state",
    ),
    "xdp_state is a pointer": (
        "snapshot/test_other_kernels.py::test_xdp_state_is_a_pointer",
    ),
    "kallsyms of other versions": (
        "btf/test_kallsyms.py::test_tables_are_found_in_memory",
    ),
    "a veth_xmit() that records the RX queue": (
        "disasm/test_made_code.py::test_veth_xmit",
        "disasm/test_made_arm64.py::test_veth_xmit",
    ),
    # No such kernel can be booted here: its messages are made up.
    "virtio_net of older kernels": (
        "analysis/attach/test_drivers.py::test_checksums_of_virtio_net",
        "analysis/attach/test_drivers.py::test_tx_rings_of_virtio_net",
    ),
    "what only a first attach makes": (
        "vm/test_report.py::test_every_value_before_anyone_asked",
        "vm/test_answers.py::test_every_answer_before_anyone_asked",
    ),
}


@functools.cache
def _tests_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_tests(case: str) -> None:
    for test in CASES[case]:
        file, _, name = test.partition("::")
        assert name in _tests_in(file), test
