# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The picture
-----------

Network namespaces as boxes, their devices in them, pairs as edges: one page of HTML, an
SVG alone, or DOT for Graphviz. The work is done in this order: ``scene`` says what is
shown, ``layout`` where it is, ``svg`` draws it, ``page`` puts it on a page with all
else.
"""

__all__ = (
    "columns",
    "dot",
    "edges",
    "layout",
    "legend",
    "markup",
    "page",
    "records",
    "scene",
    "svg",
    "tables",
)
