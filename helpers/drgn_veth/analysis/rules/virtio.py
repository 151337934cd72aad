# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule about the queues of virtio_net."""

from typing import Optional

from ...core import messages
from ...core.english import count
from ..need import need, need_of_kernel
from .context import Context, End
from .finding import INFO, KernelAnswer, Symptom
from .rule import Rule, Sign

__all__ = ("RULES",)


def _slow_tx(context: Context, end: End) -> Optional[Symptom]:
    device = end.device
    if device.driver.name != "virtio_net":
        return None
    if need(device.xdp.driver, "xdp_state[XDP_MODE_DRV]") is None:
        return None
    rx = need(device.queues.rx.real, "real_num_rx_queues")
    tx = need(device.queues.tx.real, "real_num_tx_queues")
    if rx != tx:
        return None  # Those that are more are the queues of XDP.
    most = need(device.queues.tx.allocated, "num_tx_queues")
    cpus = need_of_kernel(context.kernel.nr_cpu_ids, "nr_cpu_ids")
    line = messages.VIRTIO_SLOW_TX.replace("%i", "{}").format(tx + cpus, most)
    return Symptom(
        f"XDP_TX, and XDP_REDIRECT to it, wait for locks: it has "
        f"{count(most, 'TX queue')}, but needs {tx} for the stack and one for each of "
        f"{count(cpus, 'CPU')}",
        (
            ("real_num_rx_queues", rx),
            ("real_num_tx_queues", tx),
            ("num_tx_queues", most),
            ("nr_cpu_ids", cpus),
        ),
        KernelAnswer("virtnet_xdp_set", None, line),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="xdp-virtio-slow-tx",
        severity=INFO,
        title="virtio_net has no TX queues of its own for XDP",
        predicate=(
            "driver is virtio_net && native program && real_num_rx_queues == "
            "real_num_tx_queues"
        ),
        sees=(
            "XDP_TX and XDP_REDIRECT to the device are slow on many CPUs. The kernel "
            "logs, once per boot, that it asked for more queues than there are."
        ),
        fix=(
            "Give the device more queue pairs on the host (QEMU: mq=on, queues=N): one "
            "for each possible CPU, in addition to those that the stack uses. Or let "
            "the stack use fewer, before the program is attached (ethtool -L NAME "
            "combined N)."
        ),
        why=(
            "virtnet_xdp_set() (drivers/net/virtio_net.c) takes a TX queue for each "
            "possible CPU. Since v5.13, and in stable kernels before, if there are not "
            "that many, it takes none, and virtnet_xdp_get_sq() shares the queues of "
            "the stack under their locks. Older kernels refuse the attach with ENOMEM."
        ),
        symptoms=(
            Sign("log", messages.VIRTIO_SLOW_TX),
            Sign("seen", "XDP_TX and XDP_REDIRECT are slow on virtio_net"),
        ),
        subjects=lambda context: context.programmed,
        check=_slow_tx,
    ),
)
