# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of prober.py."""

__all__ = ("kernel", "loaded", "questions", "requests", "scene")
