# SPDX-License-Identifier: LGPL-2.1-or-later
"""The initramfs: it starts the guest, and is the whole system of the crash kernel."""

from __future__ import annotations

from pathlib import Path
import stat

from .agent import AGENT
from .kernels import Kernel

__all__ = ("build",)

MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "crc32c_cryptoapi")

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "$module" || echo "lab: cannot load $module"
done < /modules.list

disk() {
    tries=0
    while [ $tries -lt 100 ]; do
        for path in /sys/block/vd*; do
            if [ "$(cat "$path/serial" 2>/dev/null)" = "$1" ]; then
                echo "/dev/${path##*/}"
                return
            fi
        done
        tries=$((tries + 1))
        usleep 50000
    done
    echo "lab: no disk $1" > /dev/console
}

fail() {
    echo "lab: $1"
    sync
    poweroff -f
}

mount -t ext4 -o ro "$(disk rootfs)" /new || fail "cannot mount rootfs"
mount -t ext4 "$(disk out)" /new/out || fail "cannot mount out"

if [ -e /proc/vmcore ]; then
    mount -o bind /proc /new/proc
    mount -o bind /dev /new/dev
    mount -t tmpfs tmpfs /new/tmp
    level=$(cat /new/out/boot/level)
    echo "lab: crash kernel, dump level $level"
    status=1
    first=31
    [ "$level" = auto ] || first=$level
    chroot /new makedumpfile -v > /new/out/makedumpfile.log 2>&1
    for level_now in $first 1; do
        # 22: messages, errors and the report, but not the progress, whose carriage
        # returns would fill the log.
        chroot /new makedumpfile -l --message-level 22 -d "$level_now" \
            /proc/vmcore /out/vmcore >> /new/out/makedumpfile.log 2>&1
        status=$?
        echo "$status $level_now" > /new/out/makedumpfile.status
        # It does not know each layout of an arm64 kernel's addresses, and then refuses.
        if grep -q 'VA Bits .* not supported' /new/out/makedumpfile.log; then
            chroot /new python3 /out/lab/guest/copy_vmcore.py /proc/vmcore /out/vmcore
            status=$?
            echo "$status copy" > /new/out/makedumpfile.status
            break
        fi
        # A makedumpfile that does not know the kernel may omit pages that are in
        # use.
        if [ $status -eq 0 ] &&
            ! grep -q 'version is not supported' /new/out/makedumpfile.log; then
            break
        fi
        [ "$level" = auto ] && [ "$level_now" = 31 ] || break
        rm -f /new/out/vmcore
        mv /new/out/makedumpfile.log /new/out/makedumpfile.first.log
        chroot /new makedumpfile -v > /new/out/makedumpfile.log 2>&1
    done
    cat /new/out/makedumpfile.log
    umount /new/out
    sync
    echo "lab: dump ended with status $status"
    poweroff -f
fi

mount -t ext4 -o ro "$(disk kernel)" /new/kernel || fail "cannot mount kernel"
for folder in run tmp root; do
    mount -t tmpfs tmpfs "/new/$folder"
done
mkdir /new/run/lab /new/run/agent /new/run/log /new/run/netns
# Copied, so that processes of the scene do not keep the disk busy.
cp -a /new/out/lab/. /new/run/lab/
mount -o bind /new/run/lab /new/lab
cp /agent /new/run/agent/agent
mount -o move /proc /new/proc
mount -o move /sys /new/sys
mount -o move /dev /new/dev
exec switch_root /new /bin/dash /run/agent/agent
"""


def build(kernel: Kernel, busybox: Path, python_path: str) -> bytes:
    """Return the initramfs as a cpio archive ("newc").

    It is not compressed: an emulated CPU takes long to unpack.
    """
    modules = kernel.load_order(MODULES)
    entries: list[tuple[str, int, bytes]] = [
        (name, stat.S_IFDIR | 0o755, b"")
        for name in ("bin", "dev", "lib", "new", "proc", "sys")
    ]
    entries.append(("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()))
    entries.append(("init", stat.S_IFREG | 0o755, INIT.encode()))
    entries.append(
        (
            "agent",
            stat.S_IFREG | 0o755,
            AGENT.replace("@PYTHON_PATH@", python_path)
            .replace("@PORT@", kernel.machine.agent_port)
            .encode(),
        )
    )
    names = []
    for module in modules:
        names.append(f"/lib/{module.name}")
        entries.append(
            (f"lib/{module.name}", stat.S_IFREG | 0o644, module.read_bytes())
        )
    entries.append(
        (
            "modules.list",
            stat.S_IFREG | 0o644,
            "".join(n + "\n" for n in names).encode(),
        )
    )
    archive = bytearray()
    for number, (name, mode, data) in enumerate(entries, 2):
        archive += _entry(number, name, mode, data)
    # The kernel opens it for init before init can mount /dev.
    archive += _entry(1, "dev/console", stat.S_IFCHR | 0o600, b"", (5, 1))
    archive += _entry(0, "TRAILER!!!", 0, b"")
    return bytes(archive)


def _entry(
    number: int, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)
) -> bytes:
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
