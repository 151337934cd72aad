# SPDX-License-Identifier: LGPL-2.1-or-later
"""The XDP programs that are loaded, attached or not."""

from drgn import Object, Program
from drgn.helpers.common.prog import takes_program_or_default

from ..core.errors import attempt
from ..core.text import decode
from ..model import LoadedProgram
from ..readers import bpf_prog

__all__ = ("read_programs",)


def _record(prog: Object) -> LoadedProgram:
    return LoadedProgram(
        attempt(bpf_prog.bpf_prog_id, prog),
        prog.value_(),
        attempt(lambda: decode(bpf_prog.bpf_prog_name(prog))),
        attempt(bpf_prog.bpf_prog_has_frags, prog),
        attempt(bpf_prog.bpf_prog_expected_attach_type, prog),
        attempt(bpf_prog.bpf_prog_is_offloaded, prog),
        attempt(bpf_prog.bpf_prog_is_dev_bound, prog),
        attempt(lambda: bpf_prog.bpf_prog_bound_netdev(prog).value_()),
        attempt(bpf_prog.bpf_prog_maps_may_have_programs, prog),
    )


@takes_program_or_default
def read_programs(prog: Program) -> tuple[LoadedProgram, ...]:
    """Return the records of all programs of type XDP, by identifier."""
    return tuple([_record(one) for one in bpf_prog.for_each_xdp_prog(prog)])
