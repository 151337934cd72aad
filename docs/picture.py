# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Makes ``picture.png`` for README and picture.md: ``make picture``.

It needs Chromium. The page shows some pairs of a recorded core.
"""

from pathlib import Path
import struct
import subprocess
import sys
import tempfile
import zlib

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
sys.path[:0] = [str(REPOSITORY / "helpers"), str(REPOSITORY / "vmcores")]

from drgn import Program  # noqa: E402
from drgn_veth.btf import use_btf  # noqa: E402
from drgn_veth.faces import veth_report  # noqa: E402
from unpack import unpack  # noqa: E402

CORE = REPOSITORY / "vmcores" / "6.12-zoo.core.xz"
DEVICES = (
    *("veth_xxx0", "to_*", "cross12", "nkl2a", "renpeer", "xmovpeer"),
    *("br_*", "brporta"),
)
PNG = HERE / "picture.png"
SIZE = 1260, 640


def smaller(png: bytes) -> bytes:
    """Return a PNG that is compressed as well as zlib can."""
    place, kept, data = 8, [], b""
    while place < len(png):
        (size,) = struct.unpack_from(">I", png, place)
        chunk = png[place : place + 12 + size]
        if chunk[4:8] == b"IDAT":
            data += chunk[8:-4]
        else:
            kept.append(chunk)
        place += len(chunk)
    body = b"IDAT" + zlib.compress(zlib.decompress(data), 9)
    image = (
        struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    )
    return png[:8] + b"".join([*kept[:-1], image, kept[-1]])


def main() -> int:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        prog = Program()
        prog.set_core_dump(unpack(CORE, REPOSITORY / "build"))
        use_btf(prog)
        argv = ["--format", "html", "--output", str(page)]
        for name in DEVICES:
            argv += ["--device", name]
        status = veth_report.main(prog, argv)
        if status:
            return status
        subprocess.run(
            [
                *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
                *("--hide-scrollbars", f"--window-size={SIZE[0]},{SIZE[1]}"),
                *(f"--screenshot={PNG}", f"{page.as_uri()}#veth_xxx0"),
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        PNG.write_bytes(smaller(PNG.read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
