# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Makes the man page of the parsers: ``make man``.

argparse-manpage writes the options. It leaves out what stands below them in -h, so this
adds it: examples, words, exit status.
"""

from pathlib import Path
import re
import subprocess
import sys
import tempfile

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "drgn-veth.1"
_ARGPARSE_MANPAGE = "from argparse_manpage.cli import main; main()"

sys.path.insert(0, str(REPOSITORY / "helpers"))

from drgn_veth import __version__  # noqa: E402
from drgn_veth.faces.cli import parser_of  # noqa: E402
from drgn_veth.faces.commands import FACES  # noqa: E402


def as_roff(text: str) -> str:
    """Return a text as it is, without filling its lines."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    lines = [re.sub(r"^([.'])", r"\\&\1", line) for line in text.splitlines()]
    return "\n".join([".nf", *lines, ".fi", ""])


def sections() -> str:
    """Return what -h has below the options, as argparse-manpage includes it."""
    return "\n".join(
        f"[more on {name}]\n{as_roff(parser_of(name).epilog or '')}" for name in FACES
    )


def main() -> None:
    """Write the page."""
    with tempfile.NamedTemporaryFile("w", suffix=".inc") as include:
        include.write(sections())
        include.flush()
        subprocess.run(
            [
                *(sys.executable, "-c", _ARGPARSE_MANPAGE),
                *("--module", "drgn_veth.faces.cli", "--function", "whole_parser"),
                *("--project-name", "drgn-veth", "--prog", "drgn-veth"),
                *("--version", __version__, "--manual-title", "drgn-veth"),
                *("--description", "veth pairs, XDP and RPS in kernel memory"),
                *("--include", include.name, "--output", str(PAGE)),
            ],
            check=True,
            cwd=REPOSITORY / "helpers",
        )


if __name__ == "__main__":
    main()
