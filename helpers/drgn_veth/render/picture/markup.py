# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Markup
------

Elements of HTML and SVG as text. Nothing else here writes a tag: a name that is markup
itself stays text.
"""

from collections.abc import Iterable
import html
import json
from typing import Union

from ..escape import for_terminal

__all__ = ("element", "in_script", "text")


def text(text: object) -> str:
    """
    Return a text for an element or an attribute in double quotes.

    Characters that XML does not allow are controls: these become escapes.

    >>> text('<script>"&\\x07')
    '&lt;script&gt;&quot;&amp;\\\\x07'
    """
    return html.escape(
        "\n".join(map(for_terminal, str(text).split("\n"))), quote=True
    ).replace("&#x27;", "'")


def element(
    name: str,
    *inside: str,
    **attributes: Union[str, float, bool, None],
) -> str:
    """
    Return an element.

    :param inside: Markup, not text
    :param attributes: A ``_`` in a name is a ``-``, one at its end is dropped; True has
        no value, None and False are left out

    >>> element("a", text("<b>"), class_="x", data_d=3)
    '<a class="x" data-d="3">&lt;b&gt;</a>'
    """
    said = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            said.append(f'{key}=""')
        elif isinstance(value, str):
            said.append(f'{key}="{text(value)}"')
        else:
            said.append(f'{key}="{value:g}"' if value < 1e5 else f'{key}="{value}"')
    return f"<{' '.join(said)}>{''.join(inside)}</{name}>"


def _visible(value: object) -> object:
    if isinstance(value, str):
        return for_terminal(value)
    if isinstance(value, dict):
        return {for_terminal(str(key)): _visible(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_visible(one) for one in value]
    return value


def in_script(value: Union[dict[str, object], Iterable[object]]) -> str:
    """
    Return plain values as JSON for an element ``script``: it is ASCII, and nothing in
    it ends the element or begins a comment.

    >>> print(in_script(["</script>", "a\\u2028b"]))
    ["\\u003c/script>","a\\\\u2028b"]
    """
    return json.dumps(_visible(value), separators=(",", ":")).replace("<", "\\u003c")
