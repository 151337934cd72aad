# SPDX-License-Identifier: LGPL-2.1-or-later
"""What symptoms.py measures, by subject.

A measure takes one end of a pair; it returns whether the symptom shows, and what was
seen, in words. It puts back what it changes.
"""

__all__ = ("attaching", "ends", "forwarding", "lost", "mtu", "pair", "queues", "rps")
