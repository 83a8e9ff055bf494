"""Charts that plotly draws: traces and axes as plain dicts, and names that stay names.

Colours are from Okabe and Ito's palette for colour-blind readers (https://jfly.uni-koeln.de/color/)
and stand on light and dark alike; what differs in colour differs in shape as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superpose.report.tables import DataTable
from superpose.report.texts import visible

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "Chart", "axis", "dots", "label", "line"]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8a939c"


@dataclass(frozen=True)
class Chart:
    """A chart with what it shows in words, and its points as a table.

    says: the chart in a sentence, for those who do not see it. note: what it does not show.
    """

    key: str
    title: str
    says: str
    note: str
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    table: DataTable

    def data(self) -> dict[str, Any]:
        """Give what the script hands to plotly."""
        return {"traces": list(self.traces), "layout": dict(self.layout)}


def label(text: object) -> str:
    """Give text that plotly draws as it stands: it reads tags and entities in every label."""
    shown = str(visible(str(text)))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """Give an axis with a title."""
    return {"title": {"text": label(title)}, "automargin": True, **settings}


def dots(
    name: str,
    xy: tuple[Sequence[object], Sequence[object]],
    texts: Sequence[str],
    *,
    colour: str,
    symbol: str,
    **settings: Any,
) -> dict[str, Any]:
    """Give points. texts: what each says when it is pointed at."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(name),
        "x": list(xy[0]),
        "y": list(xy[1]),
        "text": [label(text) for text in texts],
        "hoverinfo": "text",
        "marker": {"color": colour, "symbol": symbol, "size": 10},
        **settings,
    }


def line(
    name: str, x: Sequence[float], y: Sequence[float], *, colour: str = GREY, **settings: Any
) -> dict[str, Any]:
    """Give a line, or with `fill` the border of an area."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": label(name),
        "x": list(x),
        "y": list(y),
        "hoverinfo": "skip",
        "line": {"color": colour, "width": 1.5},
        **settings,
    }
