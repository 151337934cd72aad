# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Makes ``picture.png`` for README and picture.md: ``make picture``.

It needs Chromium. The page shows some pairs of a recorded core.
"""

from pathlib import Path
import subprocess
import sys
import tempfile

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
SIZE = 1260, 572


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
    return 0


if __name__ == "__main__":
    sys.exit(main())
