# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the rule in virtio.py."""

from typing import Any

from drgn_veth.analysis.rules.finding import KernelAnswer
from drgn_veth.model import Driver, Snapshot

from tests.support.rules.case import Case
from tests.support.snapshots import BAD, NIC, WITH_XDP, generic, kernel, pair, queues

__all__ = ("CASES",)

_FOUR_CPUS = kernel(nr_cpu_ids=4)


def _nic(*counts: Any, **changes: Any) -> Snapshot:
    nic = NIC._replace(driver=Driver("virtio_net", True, True, True), xdp=WITH_XDP)
    return pair(
        None, None, nic._replace(**queues(*counts))._replace(**changes),
        kernel=_FOUR_CPUS,
    )  # fmt: skip


CASES: dict[str, Case] = {
    "xdp-virtio-slow-tx": Case(
        _nic(2, 2, 4, 4),
        "info",
        "ens1",
        "XDP_TX, and XDP_REDIRECT to it, wait for locks: it has 4 TX queues, but "
        "needs 2 for the stack and one for each of 4 CPUs",
        (
            ("real_num_rx_queues", 2),
            ("real_num_tx_queues", 2),
            ("num_tx_queues", 4),
            ("nr_cpu_ids", 4),
        ),
        KernelAnswer(
            "virtnet_xdp_set",
            None,
            "XDP request 6 queues but max is 4. XDP_TX and XDP_REDIRECT will operate "
            "in a slower locked tx mode.",
        ),
        (),
        [
            _nic(6, 2, 8, 8),
            _nic(2, 2, 4, 4, **generic()),
            _nic(2, 2, 4, 4, driver=Driver("mlx5_core", True, True, True)),
        ],
        [
            (_nic(BAD, 2, 4, 4), "real_num_rx_queues"),
            (_nic(2, 2, 4, BAD), "num_tx_queues"),
            (
                _nic(2, 2, 4, 4)._replace(kernel=kernel(nr_cpu_ids=BAD)),
                "nr_cpu_ids",
            ),
        ],
    ),
}
