# SPDX-License-Identifier: LGPL-2.1-or-later
"""jq for the tests of the pages: the module of PyPI, called as the command is."""

import json
import sys

import jq

__all__ = ("main",)


def main(argv: list[str]) -> int:
    """Print what a program makes of standard input: ``jq [-r] PROGRAM``."""
    *options, program = argv
    assert options in ([], ["-r"]), options
    for value in jq.compile(program).input_text(sys.stdin.read()):
        raw = options and isinstance(value, str)
        print(value if raw else json.dumps(value, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
