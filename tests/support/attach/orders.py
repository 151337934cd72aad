# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each decision alone, and before each other: what is wrong with the answers."""

from collections.abc import Iterable, Iterator, Sequence
import errno
import functools
import itertools
from typing import Any, Optional

from drgn_veth.analysis.attach.predictor import Predictor
from drgn_veth.model import XdpProgram

from tests.support.attach.case import NO_XDP, Case, Conflict, kernel_of
from tests.support.attach.table import DRIVERS, NETLINK, ORDERS, SAYS, messages_of
from tests.support.attach.troubles import TROUBLES, cpumap, veth_queues

__all__ = (
    "all_cases",
    "case_with",
    "order_of",
    "single_cases",
    "wrong_of",
    "wrong_orders",
    "wrong_updates",
)

_TARGET = {
    "virtio-lro": "virtio",
    "virtio-lro-csum": "virtio",
    "virtio-new": "virtio",
    "generic": "veth",
}


def case_with(variant: str, driver: str) -> Case:
    mode = {"generic": "generic", "veth": None}.get(driver, "driver")
    case = Case(variant, _TARGET.get(driver, driver), mode)
    if driver.startswith("virtio"):
        messages = frozenset(SAYS[key][1] or "" for key in DRIVERS[driver])
        said = {**messages_of(variant), "virtnet_xdp": messages}
        case.kernel = case.kernel._replace(messages=tuple(said.items()))
    elif driver == "generic":
        # As before v5.15.
        case.kernel = kernel_of(variant, ("upper",))
    return case


def order_of(variant: str, driver: str) -> list[str]:
    order = [*ORDERS[variant], *DRIVERS[driver]]
    return [key for key in order if driver != "generic" or key != "upper"]


def _wrong(case: Case, keys: Sequence[str]) -> Iterator[str]:
    # What is wrong with the answer, which has to be that of the first decision.
    said = case.ask()
    name, message = SAYS[keys[0]]
    same = (said.errno, said.message) == (getattr(errno, name), message)
    if keys[0] in NETLINK:  # They have no messages.
        same = same and said.function == (
            "bpf_prog_get_type_dev" if keys[0] == "offloaded" else "do_setlink"
        )
    if not same:
        yield f"{'+'.join(keys)}: {said}"


_Tried = tuple[str, str, tuple[str, ...], Case]


def _cases(*sizes: int) -> Iterator[_Tried]:
    # So many decisions of a kernel and a driver, if they can be had at once.
    for variant, driver, size in itertools.product(ORDERS, DRIVERS, sizes):
        for keys in itertools.combinations(order_of(variant, driver), size):
            case = case_with(variant, driver)
            try:
                # Each may have its say of what the other leaves open.
                for key in (*keys, *reversed(keys)):
                    TROUBLES[key](case)
            except Conflict:
                continue
            # Driver decisions are native mode's.
            if driver == "veth" and case.mode is None:
                case.mode = "driver"
            yield variant, driver, keys, case


def single_cases() -> list[_Tried]:
    """Each decision alone."""
    return list(_cases(1))


@functools.cache
def all_cases() -> list[_Tried]:
    """Each decision alone, and each two that can be had at once."""
    return list(_cases(1, 2))


def wrong_of(cases: Iterable[_Tried]) -> Iterator[str]:
    for variant, driver, keys, case in cases:
        yield from (f"{variant} {driver} {wrong}" for wrong in _wrong(case, keys))


def wrong_orders() -> Iterator[str]:
    return wrong_of(all_cases())


def wrong_updates() -> Iterator[str]:
    def case_of(variant: str, attach_type: int = 0) -> Case:
        case = Case(variant, "veth", "driver")
        case.attached("driver", "link")
        held = case.devices["veth"].xdp.driver
        assert isinstance(held, XdpProgram)
        held = held._replace(expected_attach_type=attach_type)
        case.change("veth", xdp=NO_XDP._replace(driver=held))
        return case

    def update(case: Case, expected: Optional[int] = None) -> tuple[Any, Any]:
        predictor = Predictor(case.snapshot())
        said = predictor.update(
            case.devices["veth"], "driver", program=case.program, expected=expected
        )
        return said.errno, said.function

    for variant in "AI":
        case = case_of(variant)
        veth_queues(case)
        if update(case) != (errno.ENOSPC, "veth_xdp_set"):
            yield f"{variant} update: the driver is not asked"
        if update(case, 22) != (errno.ENOSPC, "veth_xdp_set"):
            yield f"{variant} update: expected is in place"
        if update(case, 999) != (errno.EPERM, "bpf_xdp_link_update"):
            yield f"{variant} update: expected is not in place"
        cpumap(case)
        if update(case) != (errno.EINVAL, "bpf_xdp_link_update"):
            yield f"{variant} update: another type"
        if update(case, 999) != (errno.EPERM, "bpf_xdp_link_update"):
            yield f"{variant} update: expected, then type"
        case = case_of(variant, attach_type=35)
        cpumap(case)
        checked = (errno.EINVAL, "dev_xdp_install") if variant == "I" else (0, None)
        if update(case)[0] != checked[0]:
            yield f"{variant} update: {update(case)} of a program that is checked"
