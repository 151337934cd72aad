# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The picture as DOT
------------------

For Graphviz: clusters for namespaces and masters, a node for each device, an edge for
each pair. Names are labels in quotes, never identifiers.
"""

from collections.abc import Iterator

from .scene import Box, Row, Scene

__all__ = ("render",)

_COLORS = {
    "xdp": "#6f3cc3",
    "rps": "#0b6e75",
    "error": "#c01c28",
    "warning": "#8f5a00",
    "gone": "#566170",
}


def _quoted(*lines: str) -> str:
    # Graphviz replaces escapes and HTML entities in labels.
    said = "\\n".join(
        line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
        for line in lines
    )
    return f'"{said}"'


def _node(row: Row) -> str:
    said = [row.name]
    about = " ".join(filter(None, [row.state, row.note]))
    said.append(about)
    said += [badge.text for badge in row.badges]
    attributes = [f"label={_quoted(*said)}"]
    if row.state == "DOWN":
        attributes.append('style="rounded,dashed"')
    if row.badges:
        attributes.append(f'color="{_COLORS[row.badges[0].kind]}", penwidth=2')
    return f"n{row.device} [{', '.join(attributes)}];"


def _rows(row: Row, indent: str) -> Iterator[str]:
    if not row.ports:
        yield f"{indent}{_node(row)}"
        return
    yield f"{indent}subgraph cluster_m{row.device} {{"
    yield f'{indent}  label=""; style="rounded"; color="#566170";'
    yield f"{indent}  {_node(row)}"
    for port in row.ports:
        yield from _rows(port, f"{indent}  ")
    yield f"{indent}}}"


def _box(number: int, box: Box) -> Iterator[str]:
    yield f"  subgraph cluster_{number} {{"
    style = "rounded,dashed" if box.dying else "rounded,bold" if box.host else "rounded"
    yield f'    label={_quoted(box.label, *box.lines)}; style="{style}";'
    if not box.rows:
        # Graphviz draws no cluster without a node.
        yield f'    empty{number} [label="no device", shape=plaintext];'
    for row in box.rows:
        yield from _rows(row, "    ")
    yield "  }"


def render(scene: Scene) -> str:
    """
    Return the picture as a graph for Graphviz.

    >>> print(render(Scene("a", (), ())), end="")
    graph "drgn-veth" {
      label="a"; labelloc=t; rankdir=LR;
      node [shape=box, style=rounded, fontsize=11];
    }
    """
    lines = [
        'graph "drgn-veth" {',
        f"  label={_quoted(scene.title)}; labelloc=t; rankdir=LR;",
        "  node [shape=box, style=rounded, fontsize=11];",
    ]
    for number, box in enumerate(scene.boxes):
        lines += _box(number, box)
    for edge in scene.edges:
        style = "dashed" if edge.kind == "netkit" else "solid"
        lines.append(f"  n{edge.a} -- n{edge.b} [style={style}];")
    lines.append("}")
    return "\n".join(lines) + "\n"
