# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The command as a module
-----------------------

``python3 -m drgn_veth`` is the command ``drgn-veth``.
"""

from typing import NoReturn

from drgn_veth_start import command

__all__ = ("main",)


def main() -> NoReturn:
    """Run the command and exit."""
    command()


if __name__ == "__main__":
    main()
