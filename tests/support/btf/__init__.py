# SPDX-License-Identifier: LGPL-2.1-or-later
"""Types made by hand, and counts of all types of a kernel."""
