"""A drawing as an SVG file of its own: no style sheet, no script, no font but the viewer's."""

from __future__ import annotations

from superpose.report.drawing import SIZE, Disc, Drawing, Filled, Straight, Stroke
from superpose.shown.text import escaped

__all__ = ["svg_text"]


def svg_text(drawing: Drawing) -> str:
    """Give the file."""
    w, h = f"{drawing.width:g}", f"{drawing.height:g}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}pt" height="{h}pt" '
            f'viewBox="0 0 {w} {h}" font-family="Helvetica, Arial, sans-serif" '
            f'font-size="{SIZE:g}">',
            f"<title>{escaped(drawing.title)}</title>",
            f"<desc>{escaped(drawing.says)}</desc>",
            *map(_element, drawing.strokes),
            "</svg>\n",
        )
    )


def _element(one: Stroke) -> str:
    if isinstance(one, Straight):
        (x1, y1), (x2, y2) = one.start, one.end
        dash = f' stroke-dasharray="{" ".join(f"{d:g}" for d in one.dash)}"' if one.dash else ""
        return (
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{one.colour}" '
            f'stroke-width="{one.width:g}"{dash}/>'
        )
    if isinstance(one, Filled):
        corners = " ".join(f"{x:g},{y:g}" for x, y in one.corners)
        opacity = "" if one.opacity == 1 else f' fill-opacity="{one.opacity:g}"'
        return f'<polygon points="{corners}" fill="{one.colour}"{opacity}/>'
    if isinstance(one, Disc):
        x, y = one.centre
        return f'<circle cx="{x:g}" cy="{y:g}" r="{one.radius:g}" fill="{one.colour}"/>'
    x, y = one.at
    anchor = "" if one.anchor == "start" else f' text-anchor="{one.anchor}"'
    return f'<text x="{x:g}" y="{y:g}" fill="{one.colour}"{anchor}>{escaped(one.text)}</text>'
