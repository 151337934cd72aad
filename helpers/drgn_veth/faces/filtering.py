# SPDX-License-Identifier: LGPL-2.1-or-later
"""The filters that the options of a script ask for."""

import argparse
from collections.abc import Sequence
from typing import Optional

from drgn import Program

from ..analysis.filters import Wanted, keep
from ..analysis.missing import missing_from
from ..analysis.netns_names import FilterError, find_all_netns
from ..analysis.shown import rules_like
from ..core.errors import attempt
from ..core.unreadable import Unreadable
from ..model import Device, Snapshot
from ..readers.task import net_for_pid
from .commands import as_typed
from .meant import in_one_line
from .status import UsageError, warn

__all__ = (
    "keep_wanted",
    "wanted",
    "wanted_rules",
    "warn_of_missing",
    "warn_of_missing_in",
)


def _net_of_pid(prog: Program, pid: int) -> int:
    net = attempt(net_for_pid, prog, pid)
    if isinstance(net, Unreadable):
        raise FilterError(f"pid {pid}: {net.reason}")
    if not net:
        raise FilterError(f"pid {pid}: the task has exited and is in no namespace")
    return net.value_()


def wanted(prog: Program, snapshot: Snapshot, args: argparse.Namespace) -> Wanted:
    """
    Return the filters of a script.

    :param args: Of :func:`~drgn_veth.faces.options.add_filter_options()`
    :raises UsageError: if a namespace does not exist
    """
    with in_one_line(args):
        inums = find_all_netns(snapshot, args.netns, lambda pid: _net_of_pid(prog, pid))
    return Wanted(inums, args.devices, args.kinds, args.addresses, args.netns)


def keep_wanted(prog: Program, whole: Snapshot, args: argparse.Namespace) -> Snapshot:
    """
    Return what the filters of a script keep of a Snapshot.

    :raises UsageError: if a filter matches nothing
    """
    with in_one_line(args):
        return keep(whole, wanted(prog, whole, args))


def wanted_rules(given: Sequence[str]) -> Optional[frozenset[str]]:
    """
    Return the rules that a script is asked for, None for all.

    :param given: Identifiers of rules, or shell patterns of them
    :raises UsageError: if no rule has this name
    """
    if not given:
        return None
    try:
        return rules_like(given)
    except FilterError as e:
        raise UsageError(f"--rule: {e}; {as_typed('explain')} lists them") from None


def warn_of_missing(kept: Snapshot) -> None:
    """Say on standard error what could not be read of what is shown."""
    missing = missing_from(kept).line()
    if missing is not None:
        warn(missing)


def warn_of_missing_in(whole: Snapshot, devices: Sequence[Device]) -> None:
    """Say the same of some devices alone."""
    warn_of_missing(whole._replace(devices=tuple(devices), namespaces=()))
