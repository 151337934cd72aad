# SPDX-License-Identifier: LGPL-2.1-or-later
"""
``--drgn``
----------

drgn code that reads with our helpers what a command shows: a start for one's own.
"""

import argparse
from collections.abc import Iterable, Iterator
import re

from drgn import Program
from drgn.commands import DrgnCodeBuilder

from ...analysis.attach.predictor import MODES
from ...analysis.filters import ip_address
from ...analysis.netns_names import FilterError
from ...core.text import as_in_snapshot
from .. import opening
from ..filtering import wanted
from ..status import UsageError

__all__ = ("HELPERS", "drops", "netns", "path", "rps", "veth", "xdp")

#: The helpers that the code may use.
HELPERS = frozenset(
    {
        *("Predictor", "XPS_CPUS", "XPS_RXQS", "XdpMode", "bpf_link_id"),
        *("bpf_prog_id", "bpf_prog_name", "bpf_prog_tag", "dev_get_flags", "dev_net"),
        *("dev_xdp_link", "dev_xdp_prog", "for_each_altname", "for_each_net_bounded"),
        *("for_each_netdev_bounded", "net_inum", "net_mounts", "net_tasks"),
        *("netdev_flag_names", "netdev_inet6_addresses", "netdev_inet_addresses"),
        *("netdev_kind", "netdev_num_rx_queues", "netdev_num_tx_queues"),
        *("netdev_peer", "netdev_real_num_rx_queues", "netdev_real_num_tx_queues"),
        *("netdev_rps_flow_entries", "netdev_rps_map", "netdev_xps_queues"),
        *("dev_get_stats", "rps_map_cpus", "softnet_stat", "take_snapshot"),
        *("veth_rqs", "veth_stats"),
    }
)
_WORD = re.compile(r"\w+")

_VETH = """\
        print(
            net_inum(net),
            name,
            netdev_kind(dev).decode(),
            *netdev_flag_names(dev_get_flags(dev)),
            f"mtu {dev.mtu.value_()}",
            f"rx {netdev_real_num_rx_queues(dev)}/{netdev_num_rx_queues(dev)}",
            f"tx {netdev_real_num_tx_queues(dev)}/{netdev_num_tx_queues(dev)}",
        )
        for mode in XdpMode:
            program = dev_xdp_prog(dev, mode)
            if program:
                print("  XDP", mode.name, bpf_prog_name(program), bpf_prog_id(program))
        for queue in range(netdev_real_num_rx_queues(dev)):
            cpus = rps_map_cpus(netdev_rps_map(dev, queue))
            if cpus:
                print(f"  RPS rx{queue}", *cpus)
"""

_PEER = """\
        peer = netdev_peer(dev)
        if peer:
            peer_name = peer.name.string_().decode(errors="backslashreplace")
            print("  peer", for_terminal(peer_name), "in", net_inum(dev_net(peer)))
"""

_NETNS = """\
    devices = list(for_each_netdev_bounded(net))
    paths = map(for_terminal, mounts.get(net_inum(net), ()))
    print(net_inum(net), f"{len(devices)} devices", *paths)
    there = tasks.of.get(net.value_())
    if there:
        print(f"  {there.task_count} processes")
        for task in there.tasks:
            print("  pid", task.pid, for_terminal(str(task.comm)))
"""

_WITH_XDP = """\
        has = any(dev_xdp_prog(dev, mode) for mode in XdpMode)
        if not has and dev.value_() not in by_bond:
            continue
"""

# A bond gives its program to the drivers of its slaves.
_BY_BOND = """\
by_bond = {
    device.net_device
    for device in snapshot.devices
    if isinstance(device.xdp.queues, tuple)
    and any(queue.prog_id for queue in device.xdp.queues)
}
"""

_XDP = """\
        print(net_inum(net), name)
        for mode in XdpMode:
            program = dev_xdp_prog(dev, mode)
            if not program:
                continue
            link = dev_xdp_link(dev, mode)
            print(
                "  XDP",
                mode.name,
                for_terminal(bpf_prog_name(program).decode(errors="replace")),
                bpf_prog_id(program),
                bpf_prog_tag(program),
                f"link {bpf_link_id(link)}" if link else "netlink",
            )
        for mode in MODES:
            for via in ("netlink", "link"):
                answer = predictor.attach(dev, mode, via, frags=FRAGS)
                print("  attach", mode, via, answer.errno, answer.message)
"""

_RPS = """\
        print(net_inum(net), name)
        for queue in range(netdev_real_num_rx_queues(dev)):
            cpus = rps_map_cpus(netdev_rps_map(dev, queue))
            print(f"  rx{queue}", cpus, netdev_rps_flow_entries(dev, queue))
        cpus_of = netdev_xps_queues(dev, XPS_CPUS)
        queues_of = netdev_xps_queues(dev, XPS_RXQS)
        for queue in range(netdev_real_num_tx_queues(dev)):
            print(f"  tx{queue}", cpus_of.get(queue, ()), queues_of.get(queue, ()))
"""

_DROPS = """\
        try:
            counters = dict(dev_get_stats(dev))
        except (LookupError, ValueError) as e:  # of a driver that is not modelled
            print(net_inum(net), name, e)
            continue
        if netdev_kind(dev) == b"veth":
            rqs = veth_rqs(dev)
            for queue in range(netdev_real_num_rx_queues(dev)):
                for counter, value in veth_stats(rqs + queue).items():
                    counters[f"rx{queue} {counter}"] = value
        lost = {c: n for c, n in counters.items() if n and ("drop" in c or "err" in c)}
        if lost:
            print(net_inum(net), name, lost)
"""

_PATH = """\
        if dev.value_() not in devices:
            continue
        path = trace(snapshot, devices[dev.value_()], QUEUE, CPU, FOLLOW)
        print(net_inum(net), name, path.ends)
        for flow in path.flows:
            print("  queues", flow.tx_queues or flow.rx_queues)
            for step in flow.steps:
                print("   ", step.kind, step.function, for_terminal(step.text))
"""


def _builder(prog: Program) -> DrgnCodeBuilder:
    try:
        return DrgnCodeBuilder(prog)
    except TypeError:  # drgn 0.0.33
        return DrgnCodeBuilder()  # type: ignore[call-arg]


def _finished(code: DrgnCodeBuilder, text: str) -> str:
    # With the imports that it needs.
    words = _WORD.findall(text)
    code.add_from_import("drgn_veth", *HELPERS.intersection(words))
    if "for_terminal" in words:
        code.add_from_import("drgn_veth.render.escape", "for_terminal")
    code.append(text)
    return code.get()


def _tuple(values: Iterable[object]) -> str:
    return repr(tuple(values))


def _as_ip_prints(names: Iterable[str]) -> Iterator[str]:
    # eth0@if5 is eth0. A device may also really be called so.
    for name in names:
        yield name
        if "@" in name:
            yield name.partition("@")[0]


def _alone(addresses: Iterable[str]) -> Iterable[str]:
    try:
        return sorted(set(map(ip_address, addresses)))
    except FilterError as e:
        raise UsageError(str(e)) from None


def _nets(prog: Program, args: argparse.Namespace) -> str:
    text = "for net in for_each_net_bounded(prog):\n"
    if args.netns:
        target = opening.open_target(prog, args)
        inums = wanted(target, opening.take(target), args).netns
        text += (
            f"    if net_inum(net) not in {_tuple(sorted(inums or ()))}:\n"
            "        continue\n"
        )
    return text


def _devices(prog: Program, code: DrgnCodeBuilder, args: argparse.Namespace) -> str:
    # The loop over the devices that the filters match.
    args.devices = [*args.devices, *map(as_in_snapshot, args.names)]
    text = _nets(prog, args)
    text += """\
    for dev in for_each_netdev_bounded(net):
        name = dev.name.string_().decode(errors="backslashreplace")
        name = for_terminal(name)
"""
    if args.devices or args.kinds:
        code.add_from_import("fnmatch", "fnmatchcase")
    if args.devices:
        text += f"""\
        names = [name]
        for other in for_each_altname(dev):
            names.append(other.decode(errors="backslashreplace"))
        patterns = {_tuple(_as_ip_prints(args.devices))}
        if not any(fnmatchcase(n, p) for n in names for p in patterns):
            continue
"""
    if args.kinds:
        text += f"""\
        kind = netdev_kind(dev).decode()
        if not any(fnmatchcase(kind, p) for p in {_tuple(args.kinds)}):
            continue
"""
    if args.addresses:
        text += f"""\
        addresses = [*netdev_inet_addresses(dev), *netdev_inet6_addresses(dev)]
        alone = {{address.partition("/")[0] for address in addresses}}
        if alone.isdisjoint({_tuple(_alone(args.addresses))}):
            continue
"""
    return text


def veth(prog: Program, args: argparse.Namespace) -> str:
    """Return code for ``%veth``."""
    given = [name for name in ("tree", "rules", "notes", "check") if vars(args)[name]]
    if given:
        raise UsageError("--drgn: the code of %veth has no findings and no tree")
    code = _builder(prog)
    text = _devices(prog, code, args)
    if not args.all:
        text += "        if not netdev_peer(dev):\n            continue\n"
    return _finished(code, text + _VETH + _PEER)


def netns(prog: Program, args: argparse.Namespace) -> str:
    """Return code for ``%netns``."""
    if args.devices or args.kinds or args.addresses:
        raise UsageError("--drgn: the code of %netns has no filters for devices")
    if args.with_devices:
        raise UsageError("--drgn: the code of %netns has no --devices; %veth has them")
    args.netns = [*args.netns, *args.names]
    text = "mounts = net_mounts(prog)\ntasks = net_tasks(prog)\n" + _nets(prog, args)
    return _finished(_builder(prog), text + _NETNS)


def xdp(prog: Program, args: argparse.Namespace) -> str:
    """Return code for ``%xdp``."""
    code = _builder(prog)
    text = "snapshot = take_snapshot(prog)\npredictor = Predictor(snapshot)\n"
    devices = _devices(prog, code, args)
    if args.netns or args.devices or args.kinds or args.addresses:
        text += devices
    else:
        text += _BY_BOND + devices + _WITH_XDP
    modes = MODES if args.mode is None else (args.mode,)
    body = _XDP.replace("MODES", _tuple(modes)).replace("FRAGS", str(args.frags))
    return _finished(code, text + body)


def rps(prog: Program, args: argparse.Namespace) -> str:
    """Return code for ``%rps``."""
    code = _builder(prog)
    return _finished(code, _devices(prog, code, args) + _RPS)


def drops(prog: Program, args: argparse.Namespace) -> str:
    """Return code for ``%drops``."""
    code = _builder(prog)
    text = _devices(prog, code, args) + _DROPS
    text += "for cpu in softnet_stat(prog):\n    print(cpu)\n"
    return _finished(code, text)


def path(prog: Program, args: argparse.Namespace) -> str:
    """Return code for ``%path``."""
    code = _builder(prog)
    code.add_from_import("drgn_veth.analysis.path", "trace")
    if args.in_flight:
        raise UsageError("--drgn: the code of %path does not show what is in flight")
    text = "snapshot = take_snapshot(prog)\n"
    text += "devices = {device.net_device: device for device in snapshot.devices}\n"
    text += _devices(prog, code, args)
    body = _PATH.replace("QUEUE", str(args.queue)).replace("CPU", str(args.cpu))
    return _finished(code, text + body.replace("FOLLOW", str(args.follow)))
