# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Commands at drgn's prompt
-------------------------

``%veth``, ``%netns``, ``%xdp``, ``%rps``, ``%drops`` and ``%path``: what the scripts
show, on drgn's target.
The plugin (``drgn_veth_plugin.py``) registers them.
"""

from .command import PromptCommand, command

__all__ = ("PromptCommand", "command")
