#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Record what the kernel's own tools say in every network namespace.

Use: ``truth.py OUT``. It interprets nothing: whoever reads the file decides
what a value means. It leaves the scene as it was.

OUT is JSON in ASCII, keys sorted. Text in it is UTF-8 decoded with Python's
``surrogateescape``, so ``text.encode("utf-8", "surrogateescape")`` gives back the
bytes, whatever a device is called. ``ip -j`` writes control characters as they
are: read its text with ``json.loads(text, strict=False)``. COMMAND below is
``{"argv": [...], "status": 0, "stdout": "...", "stderr": "..."}``. VALUE is the text
of a file without its last newline, or ``{"errno": "ENOENT"}`` if the read failed.
LINK is the name that a symbolic link leads to, or null where there is none.

::

    {"format": "drgn-veth-truth/1",
     "kernel": {"release": "6.1.0-...", "version": "#1 SMP ...", "machine": "x86_64"},
     "page_size": 4096,
     "cpus": {"possible": VALUE, "online": VALUE, "isolated": VALUE,
              "nohz_full": VALUE},
     "sysctl": {"net.core.rps_sock_flow_entries": VALUE},
     "meminfo": VALUE,
     "dmesg": "...",
     "bpftool_prog": COMMAND, "bpftool_link": COMMAND,
     "xdp": [the records of xdp.py],
     "maps": null, or what the scene "maps" made and what bpftool says: record_maps(),
     "scene_log": ["what the scene said", ...],
     "dying": null, or {"netns": INUM, "links": COMMAND of `ip -d -j link show` in it},
     "whose": who is in each namespace, and what holds it: see whose.py,
     "counters": null, or what the kernel has counted, twice: see counters.py,
     "seconds": 12.3,
     "namespaces": {INUM as text:
       {"init": true, "names": [those of `ip netns`], "mounts": ["/run/netns/NAME"],
        "pids": [{"pid": 1, "comm": "init"}],
        "ip_link": COMMAND `ip -d -j link show`,
        "ip_addr": COMMAND `ip -j addr show`,
        "bridge_link": COMMAND `bridge -j -d link show`,
        "bpftool_net": COMMAND `bpftool -j net show`,
        "ethtool_channels": COMMAND `ethtool -l *`: text, all that have channels,
        "sysctl": {"net.core.rps_default_mask": VALUE},
        "nsids": {NSID as text: INUM},
        "sysfs": {NAME:
          {"ifindex": VALUE, and likewise iflink address addr_len type mtu operstate
           flags ifalias carrier,
           "master": LINK, "driver": LINK, "uppers": [names], "lowers": [names],
           "queues": {"rx-0": {"rps_cpus": VALUE, "rps_flow_cnt": VALUE},
                      "tx-0": {"xps_cpus": VALUE, "xps_rxqs": VALUE}}}}}}}

``nsids`` are the numbers by which this namespace knows others: what ``link_netnsid``
of its ``ip_link`` means.

A scene that leaves the kernel in a state where these questions would hang runs this
program itself and then makes /run/lab/truth-done, which turns later runs into nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import ctypes
import errno
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any, Union

from counters import record_counters
from libc import checked, libc, mount, setns
from namespaces import Namespace, find_namespaces, nsids
from netlink import NLM_F_DUMP, RoutingSocket, attributes
from places import (
    COUNTERS,
    DYING,
    MAPS_RECORDS,
    SCENE_LOG,
    TRUTH_DONE,
    XDP_RECORDS,
    lines,
    whole_file,
)
from whose import record_whose

__all__ = ("main", "record", "settle")

Value = Union[str, dict[str, str]]

CLONE_NEWNS = 0x00020000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

SYSLOG_ACTION_READ_ALL = 3
SYSLOG_ACTION_SIZE_BUFFER = 10

DEVICE_FILES = (
    "ifindex",
    "iflink",
    "address",
    "addr_len",
    "type",
    "mtu",
    "operstate",
    "flags",
    "ifalias",
    "carrier",
)
RTM_GETLINK = 18
IFLA_LINKMODE = 17
IFF_UP, IFF_RUNNING, IFF_LOWER_UP, IFF_DORMANT = 1, 0x40, 0x10000, 0x20000
#: IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_OPERSTATE, IFLA_LINKMODE, IFLA_CARRIER,
#: IFLA_CARRIER_CHANGES. The flags are in the header.
CHANGING = frozenset((3, 4, 10, 16, IFLA_LINKMODE, 33, 35))
SETTLE_SECONDS = 1.2
SETTLE_TRIES = 20
#: From then on, what the carrier says but operstate does not is left alone.
LINKWATCH_TRIES = 8

QUEUE_FILES = {"rx": ("rps_cpus", "rps_flow_cnt"), "tx": ("xps_cpus", "xps_rxqs")}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _errno(e: OSError) -> dict[str, str]:
    return {"errno": errno.errorcode.get(e.errno or 0, str(e.errno))}


def _value(path: str) -> Value:
    """Read a small file of sysfs or procfs."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, 65536)
        finally:
            os.close(fd)
    except OSError as e:
        return _errno(e)
    return _text(data[:-1] if data.endswith(b"\n") else data)


def _sysctl(name: str) -> dict[str, Value]:
    return {name: _value("/proc/sys/" + name.replace(".", "/"))}


def _link(path: str) -> str | None:
    try:
        return os.path.basename(os.readlink(path))
    except OSError:
        return None


class _Command:
    """A running command. Several run at once, as starting one takes long."""

    def __init__(self, *argv: str) -> None:
        self.argv = argv
        # Files, not pipes, which nobody reads while the commands run.
        self.out = tempfile.TemporaryFile(dir="/tmp")
        self.err = tempfile.TemporaryFile(dir="/tmp")
        try:
            self.process: subprocess.Popen[bytes] | None = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err
            )
        except FileNotFoundError as e:
            self.process = None
            self.err.write(str(e).encode())

    def result(self) -> dict[str, object]:
        status = 127 if self.process is None else self.process.wait()
        texts = []
        for f in self.out, self.err:
            f.seek(0)
            texts.append(_text(f.read()))
            f.close()
        return {
            "argv": list(self.argv),
            "status": status,
            "stdout": texts[0],
            "stderr": texts[1],
        }


def _in_child(function: Callable[[], Any]) -> Any:
    """Run a function in a forked child, which may change its namespaces, and return
    its result as JSON brings it.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            with os.fdopen(write_end, "w", encoding="ascii") as out:
                json.dump(function(), out)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, encoding="ascii") as f:
        text = f.read()
    _, wait_status = os.waitpid(child, 0)
    if wait_status != 0:
        raise RuntimeError("the child that was to record a namespace failed")
    return json.loads(text)


def _sysfs_queues(path: str) -> dict[str, dict[str, Value]]:
    queues = {}
    try:
        names = os.listdir(path)
    except OSError:
        return {}
    for name in names:
        files = QUEUE_FILES[name.split("-")[0]]
        queues[name] = {file: _value(f"{path}/{name}/{file}") for file in files}
    return queues


def _sysfs_device(path: str) -> dict[str, object]:
    device: dict[str, object] = {
        file: _value(path + "/" + file) for file in DEVICE_FILES
    }
    entries = sorted(os.listdir(path))
    device["master"] = _link(path + "/master")
    device["driver"] = _link(path + "/device/driver")
    device["uppers"] = [e[6:] for e in entries if e.startswith("upper_")]
    device["lowers"] = [e[6:] for e in entries if e.startswith("lower_")]
    device["queues"] = _sysfs_queues(path + "/queues")
    return device


def _sysfs() -> dict[str, object]:
    """Mount sysfs again, and return every device that it shows in this namespace."""
    # Mounting it a second time in one place fails with EBUSY.
    checked(libc.umount2(b"/sys", MNT_DETACH))
    mount("sysfs", "/sys")
    top = "/sys/class/net"
    return {
        name: _sysfs_device(top + "/" + name)
        for name in os.listdir(top)
        # bonding_masters is a file there.
        if os.path.isdir(top + "/" + name)
    }


def _record_namespace(namespace: Namespace) -> dict[str, object]:
    def inside() -> dict[str, object]:
        setns(namespace.fd)
        checked(libc.unshare(CLONE_NEWNS))
        mount("none", "/", MS_REC | MS_PRIVATE)
        commands = {
            "ip_link": _Command("ip", "-d", "-j", "link", "show"),
            "ip_addr": _Command("ip", "-j", "addr", "show"),
            "bridge_link": _Command("bridge", "-j", "-d", "link", "show"),
            "bpftool_net": _Command("bpftool", "-j", "net", "show"),
            "ethtool_channels": _Command("ethtool", "-l", "*"),
        }
        out: dict[str, object] = {
            "sysctl": _sysctl("net.core.rps_default_mask"),
            "sysfs": _sysfs(),
        }
        for key, command in commands.items():
            out[key] = command.result()
        return out

    result: dict[str, object] = _in_child(inside)
    return result


#: The head of RTM_NEWLINK of each device, and those of its attributes that may change.
State = list[tuple[bytes, list[tuple[int, bytes]]]]


def _state(namespace: Namespace) -> State:
    """Return what may still change of each device. Stays in the namespace."""
    setns(namespace.fd)
    asker = RoutingSocket()
    try:
        return [
            (data[:16], [a for a in attributes(data[16:]) if a[0] in CHANGING])
            for data in asker.ask(RTM_GETLINK, NLM_F_DUMP, bytes(16))
        ]
    finally:
        asker.close()


def _is_pending(state: State) -> bool:
    """Whether the operstate of a device has not followed its carrier yet."""
    for head, attributes_ in state:
        flags = struct.unpack_from("=I", head, 8)[0]
        mode = dict(attributes_).get(IFLA_LINKMODE, b"\0")
        if not flags & IFF_UP or flags & IFF_DORMANT or mode[0]:
            continue
        if bool(flags & IFF_RUNNING) != bool(flags & IFF_LOWER_UP):
            return True
    return False


def settle() -> None:
    """Wait until no device changes any more.

    operstate follows the carrier up to a second later (net/core/link_watch.c), and what
    is recorded must still hold at the panic.
    """
    before: list[State] = []
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    for tried in range(SETTLE_TRIES):
        namespaces = find_namespaces()
        now = [_state(n) for n in namespaces.values()]
        setns(home)
        for namespace in namespaces.values():
            os.close(namespace.fd)
        follows = tried < LINKWATCH_TRIES and any(map(_is_pending, now))
        if now == before and not follows:
            os.close(home)
            return
        before = now
        time.sleep(SETTLE_SECONDS)
    raise RuntimeError("the devices of this scene keep changing")


def _dmesg() -> str:
    size = checked(libc.klogctl(SYSLOG_ACTION_SIZE_BUFFER, None, 0))
    buffer = ctypes.create_string_buffer(size)
    length = checked(libc.klogctl(SYSLOG_ACTION_READ_ALL, buffer, size))
    return _text(buffer.raw[:length])


def _dying(namespaces: dict[str, dict[str, object]]) -> dict[str, object] | None:
    """Return the namespace that the scene will end, whose number is in DYING."""
    dying = lines(DYING)
    if not dying:
        return None
    return {"netns": int(dying[0]), "links": namespaces[dying[0]]["ip_link"]}


def record_maps() -> dict[str, object] | None:
    """Return the records of maps.py, COMMANDs of bpftool: "show", and "dump" of each
    map by its id, as text; and COMMAND `tc -j qdisc show`.
    """
    made = [json.loads(line) for line in lines(MAPS_RECORDS)]
    if not made:
        return None
    dumps = {
        str(one["id"]): _Command("bpftool", "-j", "map", "dump", "id", str(one["id"]))
        for one in made
        if one["what"] == "map"
    }
    return {
        "made": made,
        "qdisc": _Command("tc", "-j", "qdisc", "show").result(),
        "show": _Command("bpftool", "-j", "map", "show").result(),
        "dump": {ident: command.result() for ident, command in dumps.items()},
    }


def record() -> dict[str, object]:
    """Record everything. Changes the calling process's network namespace."""
    start = time.monotonic()
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    init = os.stat("/proc/1/ns/net").st_ino
    namespaces = find_namespaces()
    found: dict[str, dict[str, object]] = {}
    for inum, namespace in namespaces.items():
        found[str(inum)] = {
            **_record_namespace(namespace),
            "init": inum == init,
            "names": namespace.names(),
            "mounts": sorted(namespace.mounts),
            "pids": [{"pid": p, "comm": c} for p, c in sorted(namespace.pids.items())],
        }
    # After all `ip link`: showing a device gives the namespace of its peer an nsid.
    # init_net first: most of the others know it.
    ordered = sorted(namespaces.values(), key=lambda n: (n.inum != init, n.inum))
    for inum, namespace in namespaces.items():
        found[str(inum)]["nsids"] = nsids(namespace, ordered)
    setns(home)
    commands = {
        "bpftool_prog": _Command("bpftool", "-j", "prog", "show"),
        "bpftool_link": _Command("bpftool", "-j", "link", "show"),
    }
    uname = os.uname()
    out: dict[str, object] = {
        "format": "drgn-veth-truth/1",
        "kernel": {
            "release": uname.release,
            "version": uname.version,
            "machine": uname.machine,
        },
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "cpus": {
            name: _value("/sys/devices/system/cpu/" + name)
            for name in ("possible", "online", "isolated", "nohz_full")
        },
        "sysctl": _sysctl("net.core.rps_sock_flow_entries"),
        "meminfo": _value("/proc/meminfo"),
        "dmesg": _dmesg(),
        "xdp": [json.loads(line) for line in lines(XDP_RECORDS)],
        "maps": record_maps(),
        "scene_log": lines(SCENE_LOG),
        "dying": _dying(found),
        "namespaces": found,
    }
    for key, command in commands.items():
        out[key] = command.result()
    out["whose"] = record_whose()
    # Last, so that nothing is counted afterwards.
    out["counters"] = record_counters() if os.path.exists(COUNTERS) else None
    out["seconds"] = round(time.monotonic() - start, 1)
    return out


def main(arguments: Sequence[str]) -> int:
    """Write the record to the file named by the only argument."""
    if len(arguments) != 1:
        print("usage: truth.py OUT", file=sys.stderr)
        return 2
    if os.path.exists(TRUTH_DONE):
        return 0
    settle()
    truth = record()
    with whole_file(arguments[0]) as f:
        json.dump(truth, f, indent=1, sort_keys=True)
        f.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
