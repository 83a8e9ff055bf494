"""`superpose check`: what the weights tell of a sum, before anything is added."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from superpose.cli.console import out, plain, print_json
from superpose.cli.html import Html, Pages
from superpose.cli.options import BaseModel, Heads, IgnoreKey, Json, SameBase

if TYPE_CHECKING:
    from rich.table import Table

    from superpose.interference import Check, Pair
    from superpose.interference.checking import AdapterFigures
    from superpose.report import Page

__all__ = ["check", "print_check"]

Adapters = Annotated[
    list[str],
    typer.Argument(
        metavar="ADAPTER...",
        help="Two or more PEFT folders, GGUF files, image LoRAs (.safetensors) or hub names.",
        show_default=False,
    ),
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CONDITION",
        help="Exit with code 1 when a pair meets it: rms>3 (multiples of the floor), cosine>0.1, "
        "cosine<-0.1, output>0.5, input>0.5, norm>10 or shared-a. Can be given again.",
    ),
]


def check(
    adapters: Adapters,
    fail_on: FailOn = None,
    same_base: SameBase = False,
    ignore_key: IgnoreKey = None,
    base: BaseModel = None,
    heads: Heads = "sum",
    html: Html = None,
    json: Json = False,
) -> None:
    """Say of each pair of adapters what the weights tell about their sum, and of all together.

    Cosines of the deltas beside the floor that unrelated deltas have, overlap of what they write
    to and read from beside chance, norms, a shared start, and a verdict with its reason and what
    to do next. Reads the adapters' factors only: no base model, no PyTorch. A condition on a figure
    that a pair does not have (no module in common, a delta of zeros) ends with code 1 as well.

    Example: superpose check runs/math runs/medicine --fail-on "cosine>0.1"
    """
    from superpose.cli.fail_on import insist, parse_condition
    from superpose.cli.read_back import tree_of
    from superpose.errors import BadInput
    from superpose.formats import load
    from superpose.interference import check as check_adapters

    conditions = [parse_condition(text) for text in fail_on or ()]
    if len(adapters) < 2:
        raise BadInput(
            "one adapter alone has nothing to be compared with",
            where=adapters[0],
            hint="Name two or more: superpose check A B",
        )
    pages = Pages(html)
    loaded = [
        load(name, base=base, ignore_keys=ignore_key or (), beside=False) for name in adapters
    ]
    figures = check_adapters(loaded, same_base=same_base, heads=heads, tree=tree_of(loaded, base))

    def page() -> Page:
        from superpose.report import check_page

        return check_page(figures.to_json(), pages.made(base=loaded[0].base_model))

    with pages.beside(page):
        if json:
            print_json(figures.to_json())
        else:
            print_check(figures)
    insist(conditions, figures.pairs)


def print_check(figures: Check) -> None:
    """Print tables and verdicts on standard output."""
    from superpose.files import short_names
    from superpose.interference.checking import all_of

    short = short_names([adapter.name for adapter in figures.adapters])
    console = out()
    console.print(_adapter_table(figures, short), _pair_table(figures, short))
    for pair in figures.pairs:
        names = f"{short[pair.a]} + {short[pair.b]}"
        found = pair.judgement
        console.print(f"[bold]{plain(names)}: {found.verdict}.[/bold] {plain(found.reason)}")
        # Whatever the terminal's width, a command stays on one line, to be pasted.
        console.print(f"[bold]Next:[/bold] {plain(found.next)}", soft_wrap=True)
        if pair.most_overlapping:
            console.print(_module_table(pair))
    for adapter in figures.adapters:
        for line in _left_out(adapter, short[adapter.name]):
            console.print(plain(line))
    ratio = figures.energy_ratio
    count = len(figures.adapters)
    console.print(
        f"[bold]The sum of {all_of(count)}[/bold] has {_number(ratio, '.3f')} times the energy of "
        f"its parts: 1 when they are orthogonal, up to {count} when they agree, below 1 when they "
        "cancel."
    )


def _left_out(adapter: AdapterFigures, name: str) -> list[str]:
    """Say what an adapter is where it is no exact sum, and what of it is in no figure."""
    stored, lines = adapter.stored, [f"{name} is {adapter.made}."] if adapter.made else []
    if stored:
        what = f"{stored} tensors" if stored > 1 else "a tensor"
        lines.append(
            f"{name} also stores {what} in place of the base model's own (superpose info names "
            f"them), in none of these figures{_of_heads(adapter)}."
        )
    elif adapter.heads:
        lines.append(
            f"{name} has deltas of a head ({adapter.heads}), in none of these figures: heads for "
            "other labels cannot be compared."
        )
    return lines


def _of_heads(adapter: AdapterFigures) -> str:
    if not adapter.heads:
        return ""
    return f"; {adapter.heads} of a head: heads are not compared, the deltas of the body are"


def _adapter_table(figures: Check, short: dict[str, str]) -> Table:
    table = _table("adapter", "modules", "rank", "parameters", "norm")
    for adapter in figures.adapters:
        table.add_row(
            plain(short[adapter.name]),
            str(adapter.modules),
            str(adapter.rank),
            f"{adapter.parameters:,}",
            f"{adapter.norm:.4g}",
        )
    return table


def _pair_table(figures: Check, short: dict[str, str]) -> Table:
    table = _table("pair", "RMS cosine", "cosine", "outputs", "inputs", "norm ratio")
    table.caption = "In brackets: what unrelated adapters would have."
    table.caption_justify = "left"
    for pair in figures.pairs:
        table.add_row(
            plain(f"{short[pair.a]} + {short[pair.b]}"),
            _beside(pair.rms_cosine, pair.floor, ".4f"),
            _beside(pair.cosine, pair.cosine_floor, "+.4f"),
            _beside(pair.output_overlap, pair.output_chance, ".3f"),
            _beside(pair.input_overlap, pair.input_chance, ".3f"),
            _number(pair.norm_ratio, ".2f"),
        )
    return table


def _module_table(pair: Pair) -> Table:
    table = _table("most overlapping modules", "outputs", "inputs", "cosine")
    # A module's name stays whole, to be copied; the figures take two lines first.
    table.columns[0].no_wrap = True
    for module in pair.most_overlapping:
        table.add_row(
            plain(module.name),
            _beside(module.output_overlap, module.output_chance, ".3f"),
            _beside(module.input_overlap, module.input_chance, ".3f"),
            _beside(module.cosine, module.floor, "+.4f"),
        )
    return table


def _beside(value: float, chance: float, form: str) -> str:
    """A figure and what chance gives; a narrow terminal breaks the line between the two."""
    if math.isnan(value):
        return "-"
    return f"{_number(value, form)} ({_number(chance, form.lstrip('+'))})"


def _table(*titles: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for position, title in enumerate(titles):
        # Names may break anywhere, figures only at the space before the bracket.
        table.add_column(
            title,
            justify="right" if position else "left",
            overflow="fold",
            min_width=8 if position else None,
        )
    return table


def _number(value: float, form: str) -> str:
    """A dash for a figure that does not exist."""
    return "-" if math.isnan(value) else format(value, form)
