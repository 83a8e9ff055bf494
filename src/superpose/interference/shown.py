"""What a notebook shows of a check, a pair and a difference; the words are the command line's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from superpose.html import heat_map, line, shown, table
from superpose.interference.checking import Check, all_of
from superpose.interference.difference import Difference, ModuleDifference
from superpose.interference.pair import ModuleFigures, Pair

__all__ = ["check_html", "difference_html", "pair_html"]

MOST = 24
"""Adapters of a heat map, and rows of a table that could have thousands."""

_FULL_SHADE = 1000.0
"""Multiple of the floor with the strongest shade. Shades grow with the logarithm: chance (1) is
nearly white, what is clear of it (5) has a quarter of the strength."""

_UNRELATED = "In brackets: what unrelated adapters would have"


def check_html(check: Check) -> str:
    """Give adapters, pairs with their verdicts, the cosines as a heat map, and the sum's energy."""
    adapters = table(
        "Adapters",
        ("adapter", "modules", "rank", "parameters", "norm"),
        [
            (a.name, a.modules, a.rank, f"{a.parameters:,}", f"{a.norm:.4g}")
            for a in check.adapters[:MOST]
        ],
    )
    energy = (
        f"has {_number(check.energy_ratio, '.3f')} times the energy of its parts: 1 when they are "
        f"orthogonal, up to {len(check.adapters)} when they agree, below 1 when they cancel."
    )
    pairs = _weightiest(check.pairs)
    made = [line(f"is {a.made}.", a.name) for a in check.adapters[:MOST] if a.made]
    parts = [adapters, *made, _pair_table(pairs), _heat_map(check)]
    if len(pairs) < len(check.pairs) or len(check.adapters) > MOST:
        parts.append(
            line(
                f"Shown: {min(MOST, len(check.adapters))} of {len(check.adapters)} adapters; of "
                f"{len(check.pairs)} pairs the {len(pairs)} farthest from orthogonal."
            )
        )
    return shown(*parts, line(energy, f"The sum of {all_of(len(check.adapters))}"))


def pair_html(pair: Pair) -> str:
    """Give a pair's figures, verdict and next step, and its most overlapping modules."""
    modules = table(
        "Most overlapping modules",
        ("module", "outputs", "inputs", "cosine"),
        map(_module_row, pair.most_overlapping),
    )
    return shown(_pair_table([pair]), modules if pair.most_overlapping else "")


def difference_html(found: Difference) -> str:
    """Give what is held differently, the modules that differ most, and the verdict."""
    parts = [line(found.verdict, f"{found.a} and {found.b}:")]
    for name, only in ((found.a, found.only_in("a")), (found.b, found.only_in("b"))):
        if only:
            more = f" and {len(only) - 3} more" if len(only) > 3 else ""
            parts.append(line(f"{', '.join(only[:3])}{more}", f"only in {name}:"))
    if found.facts:
        facts = [(f.name.replace("_", " "), _value(f.a), _value(f.b)) for f in found.facts]
        parts.append(table("Held differently", ("what", found.a, found.b), facts, texts=(1, 2)))
    if found.differing:
        columns = ("module", f"norm in {found.a}", f"norm in {found.b}", "difference")
        parts.append(table("Most different", columns, _differences(found.differing[:MOST])))
    return shown(*parts)


def _pair_table(pairs: Iterable[Pair]) -> str:
    columns = ("pair", "RMS cosine", "cosine", "outputs", "inputs", "norm ratio")
    rows = [
        (
            f"{pair.a} + {pair.b}",
            _beside(pair.rms_cosine, pair.floor, ".4f"),
            _beside(pair.cosine, pair.cosine_floor, "+.4f"),
            _beside(pair.output_overlap, pair.output_chance, ".3f"),
            _beside(pair.input_overlap, pair.input_chance, ".3f"),
            _number(pair.norm_ratio, ".2f"),
            *pair.judgement,
        )
        for pair in pairs
    ]
    return table(
        f"Pairs. {_UNRELATED}", (*columns, "verdict", "reason", "next"), rows, texts=(6, 7, 8)
    )


def _heat_map(check: Check) -> str:
    names = [adapter.name for adapter in check.adapters[:MOST]]
    found = {frozenset((pair.a, pair.b)): pair.multiple for pair in check.pairs}
    return heat_map(
        "Cosine of each pair in multiples of its floor (unrelated adapters: about -1 to 1)",
        "adapter",
        names,
        names,
        [[found.get(frozenset((a, b))) for b in names] for a in names],
        form=lambda multiple: f"{multiple:+.1f}" if abs(multiple) < 100 else f"{multiple:+,.0f}",
        shade=lambda multiple: math.copysign(
            math.log1p(abs(multiple)) / math.log1p(_FULL_SHADE), multiple
        ),
    )


def _weightiest(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Give all pairs, or of very many those with the largest multiples."""
    if len(pairs) <= MOST:
        return pairs
    return sorted(pairs, key=_far, reverse=True)[:MOST]


def _far(pair: Pair) -> float:
    """How far from orthogonal a pair is; beside a zero adapter it is nothing at all."""
    return abs(pair.multiple) if pair.cosine_floor > 0.0 else -1.0


def _module_row(module: ModuleFigures) -> tuple[str, ...]:
    return (
        module.name,
        _beside(module.output_overlap, module.output_chance, ".3f"),
        _beside(module.input_overlap, module.input_chance, ".3f"),
        _beside(module.cosine, module.floor, "+.4f"),
    )


def _differences(modules: Iterable[ModuleDifference]) -> Iterable[tuple[str, ...]]:
    for module in modules:
        norms = ("-" if n is None else _size(n) for n in (module.norm_a, module.norm_b))
        yield (module.name, *norms, _size(module.difference))


def _beside(value: float, chance: float, form: str) -> str:
    """A figure and what chance gives."""
    if math.isnan(value):
        return "-"
    return f"{_number(value, form)} ({_number(chance, form.lstrip('+'))})"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _size(value: float) -> str:
    return "not comparable" if math.isnan(value) else f"{value:.3g}"


def _value(value: object) -> object:
    if isinstance(value, tuple):
        return ", ".join(str(_value(part)) for part in value)
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else value
