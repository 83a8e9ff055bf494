"""What a notebook shows of an adapter and of a delta; the words are those of `superpose info`."""

from __future__ import annotations

from superpose.adapter.adapter import Adapter
from superpose.adapter.delta import Delta
from superpose.adapter.summary import Kind, summarise
from superpose.html import line, shown, table
from superpose.lowrank import norm

__all__ = ["adapter_html", "delta_html"]


def adapter_html(adapter: Adapter) -> str:
    """Give an adapter's figures, and a table of its kinds of target module. No path is shown."""
    found = summarise(adapter)
    facts = (
        f"base model {found.base_model or 'not named'}",
        f"{found.modules} target modules",
        f"rank {found.rank}",
        f"{found.parameters:,} parameters",
        *((f"dtype {', '.join(found.dtypes)}",) if found.dtypes else ()),
        f"norm {found.norm:.4g}",
        *((f"stored whole: {len(found.stored)}",) if found.stored else ()),
    )
    columns = ("kind", "modules", "out x in", "rank", "scaling", "norm")
    kinds = table("Target modules by kind", columns, map(_kind_row, found.kinds))
    remarks = (line(f"{remark}.") for remark in found.remarks)
    made = "" if found.made.plain else line(f"{found.made}.", "Made:")
    facts_line = line("; ".join(facts), f"{found.name}:")
    return shown(facts_line, made, kinds if found.kinds else "", *remarks)


def delta_html(delta: Delta) -> str:
    """Give a delta's figures in one row."""
    columns = ("out x in", "rank", "terms", "parameters", "dtype", "norm")
    figures = (
        _shape(delta.shape),
        delta.rank,
        len(delta.terms),
        f"{delta.parameters:,}",
        ", ".join(sorted(delta.stored)),
        f"{norm(delta.terms):.4g}",
    )
    return shown(table("One target module's delta", columns, [figures]))


def _kind_row(kind: Kind) -> tuple[object, ...]:
    return (
        kind.name,
        kind.modules,
        ", ".join(map(_shape, kind.shapes)),
        ", ".join(map(str, kind.ranks)),
        ", ".join(f"{scaling:g}" for scaling in kind.scalings),
        f"{kind.norm:.4g}",
    )


def _shape(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
