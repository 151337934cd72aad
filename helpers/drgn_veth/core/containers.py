# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Containers in cgroup paths
--------------------------

The kernel does not know what a container is. But each runtime gives a container a
cgroup, and the cgroup's name tells the runtime and the container's id.
:data:`PATTERNS` has these names, one a line, each with an example.

>>> (found,) = containers_in("/system.slice/docker-" + 64 * "a" + ".scope/init.scope")
>>> found.runtime, found.id[:12], found.cgroup[-12:]
('docker', 'aaaaaaaaaaaa', 'aaaaaa.scope')
"""

from collections.abc import Iterator, Mapping
import re
from typing import NamedTuple, Optional

__all__ = (
    "NO_CONTAINERS",
    "PATTERNS",
    "PODS",
    "ContainerCgroup",
    "Pattern",
    "containers_in",
    "example_of",
)


class Pattern(NamedTuple):
    """How a runtime names the cgroups of its containers."""

    runtime: Optional[str]  # None: several runtimes use this name
    #: A regular expression for whole components of a path, with words of _WORDS.
    pattern: str
    #: Such a path, with words of _EXAMPLES.
    example: str


class ContainerCgroup(NamedTuple):
    """A container that a cgroup path tells of."""

    runtime: Optional[str]
    id: str
    pod: Optional[str]  # UID of its Kubernetes pod
    cgroup: str  # path of the container's own cgroup


# LXD and Incus use LXC; nerdctl uses containerd. crun puts the processes of a container
# one level deeper.
_PATTERNS = (
    ("docker", r"docker-<ID>\.scope", "/system.slice/docker-<ID>.scope"),
    ("docker", r"docker-<ID>\.scope", "<USER>/docker-<ID>.scope/init.scope"),
    ("docker", r"docker/<ID>", "/docker/<ID>"),
    ("docker", r"[^/]+\.slice:docker:<ID>", "/a.service/system.slice:docker:<ID>"),
    ("containerd", r"cri-containerd-<ID>\.scope", "<POD>/cri-containerd-<ID>.scope"),
    ("containerd", r"[^/]+\.slice:cri-containerd:<ID>", "<POD>:cri-containerd:<ID>"),
    ("containerd", r"nerdctl-<ID>\.scope", "/system.slice/nerdctl-<ID>.scope"),
    ("containerd", r"nerdctl-<ID>\.scope", "<USER>/nerdctl-<ID>.scope"),
    ("containerd", r"(?:default|k8s\.io)/<ID>", "/default/<ID>"),
    ("cri-o", r"crio-<ID>\.scope", "<POD>/crio-<ID>.scope/container"),
    ("cri-o", r"crio-<ID>", "<CGROUPFS>/crio-<ID>"),
    ("podman", r"libpod-<ID>\.scope", "/machine.slice/libpod-<ID>.scope/container"),
    ("podman", r"libpod-<ID>\.scope", "<USER>/libpod-<ID>.scope"),
    ("podman", r"libpod-<ID>", "/libpod_parent/libpod-<ID>"),
    ("podman", r"libpod-payload-<ID>", "/a.slice/a.service/libpod-payload-<ID>"),
    ("lxc", r"lxc\.payload\.<NAME>", "/lxc.payload.<NAME>/init.scope"),
    ("lxc", r"lxc\.payload/<NAME>", "/lxc.payload/<NAME>/system.slice"),
    ("lxc", r"lxc/<NAME>", "/lxc/<NAME>/ns"),
    ("libvirt", r"machine-lxc\\x2d\d+\\x2d<UNIT>\.scope", "<LIBVIRT><UNIT>.scope"),
    ("systemd-nspawn", r"<MACHINE><UNIT>\.scope<PAYLOAD>", "<BOX>.scope/payload/a"),
    ("systemd-nspawn", r"<AT><UNIT>\.service<PAYLOAD>", "<BOX@>.service/payload"),
    ("buildkit", r"buildkit/<BUILD>", "/docker/buildkit/<BUILD>"),
    ("buildkit", r"(?:docker|buildkit)-<BUILD>\.scope", "/a/docker-<BUILD>.scope"),
    ("garden", r"garden(?:-[^/]+)?/<HANDLE>", "/garden-0a/<HANDLE>"),
    ("garden", r"garden/(?:good|bad)/<HANDLE>", "/garden/good/<HANDLE>"),
    # By cgroupfs, in a pod or below --cgroup-parent.
    (None, r"<ID>", "<CGROUPFS>/<ID>"),
)
#: If several match up to the same component, the first one counts.
PATTERNS: tuple[Pattern, ...] = tuple(Pattern(*line) for line in _PATTERNS)

_POD_SLICE = r"(?:[^/:]*-)?kubepods(?:-<QOS>)?-pod<UID>\.slice"
_POD_CGROUP = r"kubepods(?:/<QOS>)?/pod<UID>"
#: How kubelet names the cgroups of pods, with both drivers. Below /kubelet in kind.
PODS: tuple[Pattern, ...] = (
    Pattern(None, _POD_SLICE, "<POD>"),
    Pattern(None, _POD_SLICE, "/kubepods.slice/kubepods-pod<UID_>.slice"),
    Pattern(None, _POD_SLICE, "<KIND>"),
    Pattern(None, _POD_CGROUP, "<CGROUPFS>"),
    Pattern(None, _POD_CGROUP, "/kubelet/kubepods/pod<UID>"),
)

#: Processes that work for a runtime, and others that are in no container.
NO_CONTAINERS: tuple[str, ...] = (
    "<POD>/crio-conmon-<ID>.scope",
    "<CGROUPFS>/crio-conmon-<ID>",
    "<CGROUPFS>",
    "<USER>/libpod-conmon-<ID>.scope",
    "/libpod_parent/conmon",
    "/lxc.monitor.<NAME>",
    "/lxc.monitor/<NAME>",
    r"/machine.slice/machine-qemu\x2d1\x2d<UNIT>.scope/libvirt/emulator",
    "<BOX>.scope/supervisor",
    "<BOX@>.service/supervisor",
    "/system.slice/docker.service",
    "/system.slice/garden.service/garden",
    "/buildkit",
    "/",
)

# What the words of a pattern match.
_WORDS: Mapping[str, str] = {
    "<AT>": "machine\\.slice/systemd-nspawn@",
    "<BUILD>": "(?P<id>[0-9a-z]{25})",
    "<HANDLE>": "(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{4}(?:[0-9a-f]{8})?)",
    "<ID>": "(?P<id>[0-9a-f]{64})",
    # Not the virtual machines of libvirt, nor its containers.
    "<MACHINE>": r"machine\.slice/machine-(?!(?:qemu|lxc)\\x2d)",
    "<NAME>": "(?P<id>[^/]+)",
    "<PAYLOAD>": "(?!/supervisor(?:/|$))",
    "<QOS>": "(?:besteffort|burstable|guaranteed)",
    # Static pods have a hash instead.
    "<UID>": "(?P<id>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})",
    "<UNIT>": "(?P<id>[^/]+?)",
}

# What examples have in the place of words.
_USER = "/user.slice/user-1000.slice/user@1000.service/user.slice"
_SLICES = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable"
_KIND = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods"
_EXAMPLES: Mapping[str, str] = {
    "<BOX>": r"/machine.slice/machine-<UNIT>",
    "<BOX@>": r"/machine.slice/systemd-nspawn@<UNIT>",
    "<CGROUPFS>": "/kubepods/besteffort/pod<UID>",
    "<KIND>": f"{_KIND}-besteffort.slice/kubelet-kubepods-besteffort-pod<UID_>.slice",
    "<LIBVIRT>": r"/machine.slice/machine-lxc\x2d4711\x2d",
    "<POD>": f"{_SLICES}-pod<UID_>.slice",
    "<USER>": _USER,
    "<BUILD>": "x3o6nx6nrwjkyqckw8a5b6w3x",
    "<HANDLE>": "9fd0ba3f-5d1a-4ff3-65c6-a2e2",
    "<ID>": "0123456789abcdef" * 4,
    "<NAME>": "web-1",
    "<UID>": "0a1b2c3d-1111-2222-3333-444455556666",
    "<UID_>": "0a1b2c3d_1111_2222_3333_444455556666",
    "<UNIT>": r"my\x2dbox",
}


def example_of(text: str) -> str:
    """
    Return the path that an example stands for, or the id in it.

    >>> example_of("/lxc.payload.<NAME>")
    '/lxc.payload.web-1'
    """
    for word, example in _EXAMPLES.items():
        text = text.replace(word, example)
    return text


def _compiled(pattern: Pattern) -> "re.Pattern[str]":
    text = pattern.pattern
    for word, expression in _WORDS.items():
        text = text.replace(word, expression)
    # The pod may be a part of a component: see the line with ":cri-containerd:".
    return re.compile(f"(?<![^/]){text}(?![^/:])")


def _all_compiled(
    patterns: tuple[Pattern, ...],
) -> tuple[tuple[Pattern, "re.Pattern[str]"], ...]:
    texts = {pattern.pattern: pattern for pattern in reversed(patterns)}
    return tuple(
        (pattern, _compiled(pattern))
        for pattern in patterns
        if texts[pattern.pattern] is pattern
    )


_COMPILED = _all_compiled(PATTERNS)
_COMPILED_PODS = _all_compiled(PODS)
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def _id(pattern: Pattern, text: str) -> str:
    # systemd writes a "-" of a name as \x2d.
    if "<UNIT>" not in pattern.pattern:
        return text
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)


def _pods(path: str) -> Iterator[tuple[int, str]]:
    # Where each pod's name ends, and its UID.
    for _, expression in _COMPILED_PODS:
        for match in expression.finditer(path):
            yield match.end(), match.group("id").replace("_", "-")


def containers_in(path: str) -> tuple[ContainerCgroup, ...]:
    """
    Return the containers that a cgroup is in, outermost first: a container may run
    another one.

    :param path: Path of a cgroup as the host sees it
    """
    found: dict[int, ContainerCgroup] = {}
    pods = sorted(_pods(path))
    for pattern, expression in _COMPILED:
        for match in expression.finditer(path):
            end = match.end()
            if end in found:
                continue
            pod = [uid for before, uid in pods if before <= end]
            found[end] = ContainerCgroup(
                pattern.runtime,
                _id(pattern, match.group("id")),
                pod[-1] if pod else None,
                path[:end],
            )
    return tuple(found[end] for end in sorted(found))
