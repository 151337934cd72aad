#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What scenes do not have: names that were copied, hidden and taken away, pins of every
kind, programs that some kernels refuse. Runs in the guest, as root, and prints what
the kernel says of it as one line of JSON.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import re
import socket
import struct
import subprocess
import time
from typing import Any, Callable

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
MAP_CREATE, PROG_LOAD, OBJ_PIN, LINK_CREATE = 0, 5, 6, 28
DEVMAP, CPUMAP, XDP_DEVMAP, XDP = 14, 16, 33, 37
DEV_BOUND_ONLY = 1 << 6
SK_SKB_VERDICT = 5  # another attach_type
RTM_SETLINK, IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_FLAGS, SKB_MODE = 19, 43, 1, 3, 2
MS_BIND, MNT_DETACH = 1 << 12, 2

BPF = "/run/corners/bpf"

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def bpf(command: int, attr: bytes) -> int:
    return check(libc.syscall(SYS_BPF, command, attr, len(attr)))


def pin(fd: int, path: str) -> None:
    name = ctypes.create_string_buffer(path.encode())
    bpf(OBJ_PIN, struct.pack("<QII", ctypes.addressof(name), fd, 0))


def make_map(kind: int, value_size: int) -> int:
    return bpf(MAP_CREATE, struct.pack("<IIIII", kind, 4, value_size, 4, 0))


def load(name: str, attach: int = 0, ifindex: int = 0, map_fd: int = -1) -> int:
    code = b""
    if map_fd >= 0:  # r1 = the map, and then never used
        code += struct.pack("<BBhiBBhi", 0x18, 0x11, 0, map_fd, 0, 0, 0, 0)
    code += struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)
    text = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    return bpf(
        PROG_LOAD,
        struct.pack(
            "<IIQQIIQII16sII",
            6,
            len(code) // 8,
            ctypes.addressof(text),
            ctypes.addressof(licence),
            0,
            0,
            0,
            0,
            DEV_BOUND_ONLY if ifindex else 0,
            name.encode(),
            ifindex,
            attach,
        ),
    )


def bind(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    open(target, "a").close()
    mount(source, target, None, MS_BIND)


def mount(source: str, target: str, kind: str | None, flags: int = 0) -> None:
    kind_bytes = kind.encode() if kind else None
    check(libc.mount(source.encode(), os.fsencode(target), kind_bytes, flags, None))


def stay(*command: str) -> int:
    """Start a process that stays, and wait until it is what it should be."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(300):
        with open(f"/proc/{child.pid}/comm") as f:
            if f.read().strip() == "sleep":
                return child.pid
        time.sleep(0.1)
    raise SystemExit(f"{command} did not come to sleep")


def nsfs_mounts(pid: int) -> list[tuple[int, str]]:
    """The network namespaces that are mounted where a process sees them."""
    found = []
    with open(f"/proc/{pid}/mountinfo", "rb") as f:
        for line in f:
            fields = line.split()
            inum = re.fullmatch(rb"net:\[(\d+)\]", fields[3])
            if inum:
                path = re.sub(
                    rb"\\([0-7]{3})",
                    lambda octal: bytes((int(octal.group(1), 8),)),
                    fields[4],
                )
                found.append((int(inum.group(1)), os.fsdecode(path)))
    return sorted(found)


def names() -> int:
    """Make namespaces and mounts, return a process with mounts of its own."""
    for name in ("plain", "lazy", "elsewhere", "deleted"):
        subprocess.run(["ip", "netns", "add", name], check=True)
    bind("/run/netns/plain", "/run/corners/second name")
    bind("/run/netns/plain", "/run/corners/ns/" + "long" * 60)
    bind("/run/netns/plain", os.fsdecode(b"/run/corners/ns/\xff\\\n"))
    bind("/proc/self/ns/uts", "/run/corners/ns/uts")
    # One file in two places.
    os.makedirs("/run/corners/again")
    mount("/run/corners/ns", "/run/corners/again", None, MS_BIND | 1 << 14)
    # Still open, and so not gone.
    os.dup2(os.open("/run/netns/lazy", os.O_RDONLY), 100)
    check(libc.umount2(b"/run/netns/lazy", MNT_DETACH))
    # Copies in other mount namespaces, that take part or do not.
    stay("unshare", "--mount", "--propagation", "slave", "sleep", "infinity")
    stay("unshare", "--mount", "--propagation", "private", "sleep", "infinity")
    own = stay(
        *("unshare", "--mount", "--net", "--propagation", "private", "sh", "-c"),
        "mkdir -p /tmp/own && mount -t tmpfs none /tmp/own && : >/tmp/own/hidden && "
        "mount --bind /proc/self/ns/net /tmp/own/hidden && exec sleep infinity",
    )
    # Copies of it are left in the two that do not take part.
    check(libc.umount2(b"/run/netns/elsewhere", MNT_DETACH))
    # Removed everywhere, as its file is; and still open.
    os.dup2(os.open("/run/netns/deleted", os.O_RDONLY), 101)
    subprocess.run(["ip", "netns", "del", "deleted"], check=True)
    return own


def links() -> dict[str, Any]:
    """Make links of each kind: who holds each."""
    os.makedirs(BPF)
    mount("bpf", BPF, "bpf")
    os.mkdir(BPF + "/dir")
    for i in range(5):
        command = f"link add c{i} type veth peer name d{i}"
        subprocess.run(["ip", *command.split()], check=True)
    prog = load("corner_plain")
    fds = {}
    for i in range(5):
        index = socket.if_nametoindex(f"c{i}")
        fds[i] = bpf(LINK_CREATE, struct.pack("<IIII", prog, index, XDP, 0))
    pin(fds[0], BPF + "/dir/zero")
    os.link(BPF + "/dir/zero", BPF + "/hard")
    pin(fds[1], BPF + "/one")
    pin(fds[1], BPF + "/one again")
    pin(fds[3], BPF + "/three")
    # Removed while it is in use: it has no name, and still holds the link.
    pin(fds[4], BPF + "/four")
    os.open(BPF + "/four", os.O_PATH)
    os.unlink(BPF + "/four")
    # In a bpffs that is mounted nowhere any more.
    os.makedirs("/run/corners/lost")
    mount("bpf", "/run/corners/lost", "bpf")
    pin(fds[4], "/run/corners/lost/five")
    os.open("/run/corners/lost", os.O_PATH)
    check(libc.umount2(b"/run/corners/lost", MNT_DETACH))
    # Pinned, and no descriptor left.
    for i in (0, 3, 4):
        os.close(fds[i])
    os.dup2(fds[2], 102)
    # Its device goes.
    subprocess.run(["ip", "link", "del", "c3"], check=True)
    return {
        "c0": [[BPF + "/dir/zero", BPF + "/hard"], 1, 0],
        "c1": [[BPF + "/one", BPF + "/one again"], 2, 1],
        # Of a file: descriptors of one open() are one.
        "c2": [[], 0, 1],
        "": [[BPF + "/three"], 1, 0],
        "c4": [["/five"], 2, 0],
    }


def attempt_load(name: str, **how: int) -> bool:
    try:
        fd = load(name, **how)
    except OSError:
        return False
    pin(fd, f"{BPF}/{name}")
    return True


def programs() -> dict[str, Any]:
    """Load programs of each kind: expected attach type, bound to, has such maps."""
    made: dict[str, Any] = {"corner_plain": [0, "", False]}
    wanted: dict[str, dict[str, int]] = {
        "corner_devmap": {"attach": XDP_DEVMAP},
        "corner_dev4": {"map_fd": make_map(DEVMAP, 4)},
        "corner_dev8": {"map_fd": make_map(DEVMAP, 8)},
        "corner_cpu4": {"map_fd": make_map(CPUMAP, 4)},
        "corner_cpu8": {"map_fd": make_map(CPUMAP, 8)},
        "corner_bound": {"ifindex": socket.if_nametoindex("c0")},
    }
    for name, how in wanted.items():
        if attempt_load(name, **how):
            bound = "c0" if "ifindex" in how else ""
            made[name] = [how.get("attach", 0), bound, name.endswith("8")]
    return made


def set_xdp(index: int, prog: int) -> int:
    """Ask by netlink, and return the error number."""
    xdp = struct.pack("<HHiHHI", 8, IFLA_XDP_FD, prog, 8, IFLA_XDP_FLAGS, SKB_MODE)
    nested = struct.pack("<HH", 4 + len(xdp), IFLA_XDP | 1 << 15) + xdp
    body = struct.pack("<BxHiII", 0, 0, index, 0, 0) + nested
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as route:
        route.send(struct.pack("<IHHII", 16 + len(body), RTM_SETLINK, 5, 1, 0) + body)
        (number,) = struct.unpack_from("<i", route.recv(1 << 16), 16)
    return -int(number)


def create_link(index: int, prog: int, attach: int = XDP) -> int:
    """Ask for a link, and return the error number."""
    try:
        os.close(bpf(LINK_CREATE, struct.pack("<IIII", prog, index, attach, SKB_MODE)))
    except OSError as e:
        return e.errno or 0
    return 0


def as_nobody(ask: Callable[[int, int], int], index: int, prog: int) -> int:
    """Ask without capabilities."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os._exit(ask(index, prog))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def mistakes() -> list[tuple[str, str, int]]:
    """What a caller can get wrong: the way, the function that decides, the error."""
    here, prog = socket.if_nametoindex("d0"), load("corner_caller")
    told = [("link", "link_create", create_link(here, prog, SK_SKB_VERDICT))]
    for via, ask in (("netlink", set_xdp), ("link", create_link)):
        told.append((via, "__dev_get_by_index", ask(1 << 20, prog)))
        for wrong in (999, os.open(os.devnull, os.O_RDWR), make_map(DEVMAP, 4)):
            told.append((via, "bpf_prog_get_type_dev", ask(here, wrong)))
    told.append(("netlink", "rtnetlink_rcv_msg", as_nobody(set_xdp, here, prog)))
    told.append(("link", "__sys_bpf", as_nobody(create_link, here, prog)))
    return told


def oldest_processes() -> dict[int, tuple[int, str]]:
    """The process with the lowest PID in each namespace that has one."""
    found: dict[int, tuple[int, str]] = {}
    pids = (int(path[6:]) for path in glob.glob("/proc/[0-9]*"))
    for pid in sorted(pids, reverse=True):
        try:
            # Of threads of the kernel it is empty.
            os.readlink(f"/proc/{pid}/exe")
            inum = os.stat(f"/proc/{pid}/ns/net").st_ino
            with open(f"/proc/{pid}/comm") as f:
                found[inum] = (pid, f.read().strip())
        except OSError:
            continue
    return found


def main() -> None:
    own = names()
    made = links()
    loaded = programs()
    # The descriptors stay with a process that does nothing more.
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        for fd in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)
        with open("/proc/self/comm", "w") as f:
            f.write("keeps\\corners")
        check(libc.unshare(0x40000000))
        os.write(done, b".")
        while True:
            time.sleep(1000)
    os.read(ready, 1)
    print(
        json.dumps(
            {
                "mounts": nsfs_mounts(1),
                "hidden": [
                    mount
                    for mount in nsfs_mounts(own)
                    if mount[1] in ("/tmp/own/hidden", "/run/netns/elsewhere")
                ],
                "processes": sorted(oldest_processes().items()),
                "links": made,
                "programs": loaded,
                "mistakes": mistakes(),
            }
        )
    )


if __name__ == "__main__":
    main()
