# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints docs/rules.md."""

import sys

from .page import markdown

__all__ = ("main",)


def main() -> None:
    """Print the page."""
    sys.stdout.write(markdown())


if __name__ == "__main__":
    main()
