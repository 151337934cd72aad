# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an errno or a message of an XDP attach means, and which devices meet it."""

__all__ = ("check", "checks", "elsewhere", "met", "topics")
