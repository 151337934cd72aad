# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers that a scene makes by hand: where each runtime puts its cgroups.

One row is one process. It was written from what the runtimes do, and not from the
patterns of the report, which it is there to check.
"""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
from typing import NamedTuple

__all__ = ("ROWS", "V1", "V2", "Expected", "Row")

#: Names of hierarchies: the unified one, and named ones or controllers of version 1.
V2 = ("",)
V1 = ("systemd", "pids")


class Expected(NamedTuple):
    """The container of a process."""

    id: str
    runtime: str | None
    #: The cgroup of the container; its process may be below.
    cgroup: str
    pod: str | None = None
    #: Ids of the containers around it, outermost first.
    within: tuple[str, ...] = ()


class Row(NamedTuple):
    """A process in a cgroup."""

    #: What it is, for whoever reads a difference.
    what: str
    path: str
    #: None: no container.
    container: Expected | None
    hierarchies: Sequence[str] = V2
    #: Processes of one group share a network namespace and a host name. None: it has
    #: them for itself; host: those of the initial namespaces.
    group: str | None = None
    hostname: str | None = None
    comm: str = "app"


def _id(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def _uid(word: str) -> str:
    h = _id(word)
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:32]))


def _base36(word: str) -> str:
    number, text = int(_id(word), 16), ""
    while len(text) < 25:
        number, digit = divmod(number, 36)
        text += "0123456789abcdefghijklmnopqrstuvwxyz"[digit]
    return text


def _slice(qos: str, uid: str, prefix: str = "") -> str:
    """Return the slice of a pod, as the kubelet names it with the systemd driver."""
    pod = "pod" + uid.replace("-", "_")
    if not qos:
        return f"{prefix}kubepods.slice/{prefix}kubepods-{pod}.slice"
    middle = f"{prefix}kubepods-{qos}"
    return f"{prefix}kubepods.slice/{middle}.slice/{middle}-{pod}.slice"


def _pod(qos: str, uid: str, scope: str) -> str:
    return f"/{_slice(qos, uid)}/{scope}"


USER = "/user.slice/user-1000.slice/user@1000.service"
WEB, SHOP, SQL, CACHE, KIND, MIXED, SPLIT, OLD = map(
    _uid, ("web", "shop", "sql", "cache", "kind", "mixed", "split", "old")
)
#: A static pod has the hash of its manifest in place of a UID.
STATIC = _id("static")[:32]
NODE, DIND = _id("kind node"), _id("the outer docker")


def _simple(
    what: str,
    runtime: str | None,
    path: str,
    id: str | None = None,
    below: str = "",
    pod: str | None = None,
    within: tuple[str, ...] = (),
    hierarchies: Sequence[str] = V2,
    group: str | None = None,
    hostname: str | None = None,
    comm: str = "app",
) -> Row:
    """Return a row; the * in the path stands for the container's id."""
    id = id or _id(what)
    path = path.replace("*", id)
    container = Expected(id, runtime, path, pod, within)
    return Row(what, path + below, container, hierarchies, group, hostname, comm)


def _none(what: str, path: str, hierarchies: Sequence[str] = V2) -> Row:
    return Row(what, path, None, hierarchies, "services")


ROWS: tuple[Row, ...] = (
    # Docker.
    _simple("docker by systemd", "docker", "/system.slice/docker-*.scope",
            hostname="9f86d081884c", comm="nginx"),
    _simple("docker by cgroupfs", "docker", "/docker/*"),
    _simple("docker, with systemd inside", "docker", "/docker/*", below="/init.scope",
            comm="systemd"),
    _simple("docker, rootless", "docker", f"{USER}/user.slice/docker-*.scope"),
    _simple("docker on the host's network", "docker", "/system.slice/docker-*.scope",
            group="host", comm="node_exporter"),
    # Kubernetes: a pod of three containers, one of which holds the namespaces.
    _simple("pause", "containerd", _pod("burstable", WEB, "cri-containerd-*.scope"),
            pod=WEB, group="web", hostname="web-7d9c5b8f4-x2v5p", comm="pause"),
    _simple("web", "containerd", _pod("burstable", WEB, "cri-containerd-*.scope"),
            pod=WEB, group="web", comm="nginx"),
    _simple("sidecar", "containerd", _pod("burstable", WEB, "cri-containerd-*.scope"),
            pod=WEB, group="web", comm="envoy"),
    _simple("guaranteed, by systemd", "containerd",
            _pod("", SHOP, "cri-containerd-*.scope"), pod=SHOP, hostname="shop-0"),
    _simple("pod by cgroupfs", None, f"/kubepods/besteffort/pod{SQL}/*", pod=SQL,
            hostname="sql-0", comm="postgres"),
    _simple("guaranteed, by cgroupfs", None, f"/kubepods/pod{CACHE}/*", pod=CACHE),
    _simple("static pod", "containerd",
            _pod("burstable", STATIC, "cri-containerd-*.scope"), pod=STATIC,
            group="host", comm="kube-apiserver"),
    _simple("kubelet by systemd, containerd by cgroupfs", "containerd",
            "/system.slice/containerd.service/kubepods-besteffort-pod"
            f"{MIXED.replace('-', '_')}.slice:cri-containerd:*", pod=MIXED),
    _simple("docker under a kubelet", "docker",
            _pod("besteffort", SPLIT, "docker-*.scope"), pod=SPLIT),
    # Kubernetes in a container.
    _simple("kind by systemd", "containerd",
            f"/system.slice/docker-{NODE}.scope/kubelet.slice/"
            f"{_slice('besteffort', KIND, 'kubelet-')}/cri-containerd-*.scope",
            pod=KIND, within=(NODE,), hostname="coredns-5d78c9869d-abcde"),
    _simple("the node of kind", "docker", "/system.slice/docker-*.scope", id=NODE,
            below="/init.scope", hostname="kind-control-plane", comm="systemd"),
    _simple("kind by cgroupfs", None,
            f"/docker/{NODE}/kubelet/kubepods/burstable/pod{KIND}/*", pod=KIND,
            within=(NODE,)),
    # containerd without Kubernetes.
    _simple("nerdctl", "containerd", "/system.slice/nerdctl-*.scope"),
    _simple("nerdctl, rootless", "containerd", f"{USER}/user.slice/nerdctl-*.scope"),
    # CRI-O.
    _simple("cri-o", "cri-o", _pod("besteffort", SHOP, "crio-*.scope"), pod=SHOP,
            hostname="shop-1"),
    _simple("cri-o with crun", "cri-o", _pod("", CACHE, "crio-*.scope"),
            below="/container", pod=CACHE),
    _simple("cri-o by cgroupfs", "cri-o", f"/kubepods/burstable/pod{SQL}/crio-*",
            pod=SQL),
    _none("conmon of cri-o",
          _pod("besteffort", SHOP, f"crio-conmon-{_id('cri-o')}.scope")),
    # Podman.
    _simple("podman", "podman", "/machine.slice/libpod-*.scope", below="/container"),
    _simple("podman with runc", "podman", "/machine.slice/libpod-*.scope"),
    _simple("podman, rootless", "podman", f"{USER}/user.slice/libpod-*.scope",
            below="/container"),
    _simple("podman, in a pod of its own", "podman",
            f"/machine.slice/machine-libpod_pod_{_id('a pod')}.slice/libpod-*.scope",
            below="/container"),
    _simple("podman, in a unit", "podman",
            "/system.slice/web.service/libpod-payload-*"),
    _simple("podman by cgroupfs", "podman", "/libpod_parent/libpod-*"),
    _none("conmon of podman", f"/machine.slice/libpod-conmon-{_id('podman')}.scope"),
    _none("conmon of podman by cgroupfs", f"/libpod_parent/conmon-{_id('podman')}"),
    # LXC and LXD: the id is the name.
    _simple("lxc", "lxc", "/lxc.payload.*", id="web1", hostname="web1", comm="cron",
            below="/system.slice/cron.service"),
    _simple("lxc, odd name", "lxc", "/lxc.payload.*", id="we\x1b[1mird-\u2603",
            below="/init.scope"),
    _none("the monitor of lxc", "/lxc.monitor.web1"),
    _simple("docker in lxc", "docker", "/lxc.payload.web1/docker/*", within=("web1",)),
    # systemd-nspawn: likewise.
    _simple("systemd-nspawn", "systemd-nspawn",
            "/machine.slice/machine-deb\\x2d1.scope", id="deb-1", below="/payload"),
    _simple("systemd-nspawn as a service", "systemd-nspawn",
            "/machine.slice/systemd-nspawn@fedora.service", id="fedora",
            below="/payload"),
    _none("a virtual machine",
          "/machine.slice/machine-qemu\\x2d1\\x2dvm1.scope/libvirt"),
    # BuildKit and Garden.
    _simple("buildkit", "buildkit", "/buildkit/*", id=_base36("buildkit")),
    _simple("buildkit in docker", "buildkit", "/docker/buildkit/*",
            id=_base36("in docker")),
    _simple("garden", "garden", "/garden/*", id=_uid("garden")),
    _simple("garden, good", "garden", "/garden/good/*", id=_uid("garden, good")),
    # Docker in Docker.
    _simple("the outer docker", "docker", "/docker/*", id=DIND, comm="dockerd"),
    _simple("docker in docker", "docker", f"/docker/{DIND}/docker/*", within=(DIND,)),
    _simple("docker in docker in docker", "docker",
            f"/docker/{DIND}/docker/{_id('docker in docker')}/docker/*",
            within=(DIND, _id("docker in docker"))),
    # Services that look like them.
    _none("the daemon of docker", "/system.slice/docker.service"),
    _none("containerd itself", "/system.slice/containerd.service"),
    _none("a session", "/user.slice/user-0.slice/session-1.scope"),
    _none("the kubelet", "/system.slice/kubelet.service"),
    _none("an id that is too short", "/system.slice/docker-0123456789abcdef.scope"),
    # Version 1.
    _simple("docker, v1", "docker", "/docker/*", hierarchies=V1),
    _simple("docker, one controller tells", "docker", "/docker/*",
            hierarchies=("pids",)),
    _simple("docker, only systemd's tells", "docker", "/system.slice/docker-*.scope",
            hierarchies=("systemd",)),
    _simple("pod by cgroupfs, v1", None, f"/kubepods/burstable/pod{OLD}/*", pod=OLD,
            hierarchies=V1, group="old pod", hostname="old-0"),
    _simple("its second container", None, f"/kubepods/burstable/pod{OLD}/*", pod=OLD,
            hierarchies=V1, group="old pod"),
    _simple("pod by systemd, v1", "docker", _pod("burstable", OLD, "docker-*.scope"),
            pod=OLD, hierarchies=V1),
    _simple("cri-o, v1", "cri-o", _pod("burstable", OLD, "crio-*.scope"), pod=OLD,
            hierarchies=V1),
    _simple("podman, v1", "podman", "/machine.slice/libpod-*.scope", hierarchies=V1),
    _simple("lxc, v1", "lxc", "/lxc/*", id="web2", hierarchies=V1),
    _simple("lxc 3, v1", "lxc", "/lxc.payload/*", id="web3", hierarchies=V1),
    _simple("systemd-nspawn, v1", "systemd-nspawn", "/machine.slice/machine-old.scope",
            id="old", hierarchies=("systemd",)),
    _simple("garden, v1", "garden", "/garden/*", id=_uid("garden, v1"), hierarchies=V1),
    _simple("docker in docker, v1", "docker", f"/docker/{DIND}/docker/*",
            within=(DIND,), hierarchies=V1),
    Row("a service, v1", "/system.slice/docker.service", None, V1, "services"),
)  # fmt: skip
