# SPDX-License-Identifier: LGPL-2.1-or-later
"""jq for the tests of the pages: the module of PyPI, called as the command is."""

import json
import sys

import jq

__all__ = ("main",)


def main(argv: list[str]) -> int:
    """Print what a program makes of standard input: ``jq [-c|-r] PROGRAM``."""
    *options, program = argv
    assert options in ([], ["-c"], ["-r"]), options
    for value in jq.compile(program).input_text(sys.stdin.read()):
        if options == ["-r"] and isinstance(value, str):
            print(value)
        elif options == ["-c"]:
            print(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
        else:
            print(json.dumps(value, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
