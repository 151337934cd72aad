# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of asker.py."""

__all__ = ("device", "record", "sequences", "xsk")
