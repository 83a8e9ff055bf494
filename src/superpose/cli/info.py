"""`superpose info`: what is in an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.console import one_line, out, plain, print_json
from superpose.cli.options import IgnoreKey, Json

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.adapter.beside import Beside
    from superpose.adapter.summary import Summary

__all__ = ["info"]


def info(
    adapter: Annotated[
        str, typer.Argument(help="An adapter: a folder, a file or a hub name.", show_default=False)
    ],
    ignore_key: IgnoreKey = None,
    json: Json = False,
) -> None:
    """Say what is in an adapter: base model, target modules, ranks, scalings, norms, parents.

    Norms are Frobenius norms of the deltas, not of the factors.

    Example: superpose info runs/math
    """
    from superpose.adapter.summary import summarise
    from superpose.formats import load

    loaded = load(adapter, ignore_keys=ignore_key or ())
    summary = summarise(loaded)
    if json:
        print_json(summary.to_json())
    else:
        _print(loaded, summary)


def _print(adapter: Adapter, summary: Summary) -> None:
    from rich.table import Table

    facts = (
        ("adapter", summary.path or summary.name),
        *((("format", summary.format),) if summary.format != "peft" else ()),
        ("base model", summary.base_model or "not named"),
        ("task", adapter.settings.get("task_type") or "not named"),
        ("target modules", summary.modules),
        ("parameters", f"{summary.parameters:,}"),
        ("dtype", ", ".join(summary.dtypes)),
        ("norm", f"{summary.norm:.4g}"),
        *((("stored whole", _some(summary.stored)),) if summary.stored else ()),
        *_beside(summary.beside),
        *((("made", str(summary.made)),) if summary.made.method != "given" else ()),
        *_rounding(summary.made.rounding_error),
        *(("parent", f"{p.weight:g} * {p.path or p.name}") for p in summary.parents),
    )
    for name, value in facts:
        # Not in the table: it would cut a long path.
        out().print(f"{name:16}{one_line(value)}", markup=False, soft_wrap=True)
    table = Table()
    for title in ("kind", "modules", "out x in", "rank", "scaling", "norm"):
        table.add_column(title, justify="left" if title == "kind" else "right")
    for kind in summary.kinds:
        table.add_row(
            plain(kind.name),
            str(kind.modules),
            ", ".join(f"{rows} x {columns}" for rows, columns in kind.shapes),
            ", ".join(map(str, kind.ranks)),
            ", ".join(f"{scaling:g}" for scaling in kind.scalings),
            f"{kind.norm:.4g}",
        )
    out().print(table)
    for remark in summary.remarks:
        out().print(one_line(remark), markup=False, soft_wrap=True)


def _beside(beside: tuple[Beside, ...]) -> list[tuple[str, str]]:
    """Name what lies beside the adapter: each trained part with what it is, the tokenizer once."""
    from superpose.adapter.beside import trained

    tokenizer = tuple(one.file for one in beside if one.kind == "tokenizer")
    lines = [("not in it", f"{one.file}: {one.what}") for one in trained(beside)]
    return lines + ([("beside it", _some(tokenizer))] if tokenizer else [])


def _rounding(error: float | None) -> list[tuple[str, str]]:
    return [] if error is None else [("rounding error", f"{error:.2g}")]


def _some(names: tuple[str, ...]) -> str:
    """Name a few and count the rest: an adapter may hold a thousand rows."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
