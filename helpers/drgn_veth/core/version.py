# SPDX-License-Identifier: LGPL-2.1-or-later
"""The version of drgn-veth."""

__all__ = ("VERSION",)

VERSION = "0.1.0"
