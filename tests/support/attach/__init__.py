# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The decisions of an XDP attach, written down once more
------------------------------------------------------

What a decision is, and which comes first, is as KERNEL.md D has it, and not taken from
the package. ``table``: what each says; ``case``: a kernel, devices and a question;
``troubles``: what makes each decision refuse; ``orders``: all of them, each against the
others.
"""
