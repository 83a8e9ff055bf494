"""Do these adapters add up? Every figure that the weights alone can tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from superpose.adapter import Adapter, Heads, in_head, together
from superpose.adapter.heads import with_heads
from superpose.errors import BadInput
from superpose.files import gathered, short_names, without_nan
from superpose.interference.figures import CHANCE, COSINE, PAIR_COLUMNS
from superpose.interference.modules import per_module
from superpose.interference.pair import Pair, pair_figures
from superpose.interference.typed import words_of
from superpose.shown import Column, Framed, Heat, Line, Part, Shown, Table, written
from superpose.shown.words import counted

if TYPE_CHECKING:
    from superpose.names.tree import Tree


@dataclass(frozen=True)
class AdapterFigures:
    """One adapter. norm: Frobenius norm of all its deltas. rank: the largest of a module.

    stored_count: tensors that it stores in place of the base's own, part of no figure here.
    heads: tensors of a head that are part of none: how many of the stored ones, and deltas of
    heads whose shapes differ. made: in words, how it was made, where it is not an exact sum of
    exact adapters.
    """

    name: str
    path: str | None
    module_count: int
    rank: int
    parameters: int
    norm: float
    stored_count: int
    heads: int
    made: str | None = None

    def said(self, name: str) -> Iterator[Line]:
        """Say what it is where it is no exact sum, and what of it is in no figure."""
        if self.made:
            yield Line(f"{name} is {self.made}.")
        head = f"{self.heads} of a head: heads are not compared, the deltas of the body are"
        if self.stored_count:
            what = f"{self.stored_count} tensors" if self.stored_count > 1 else "a tensor"
            yield Line(
                f"{name} also stores {what} in place of the base model's own (superpose info names "
                f"them), in none of these figures{f'; {head}' if self.heads else ''}."
            )
        elif self.heads:
            yield Line(
                f"{name} has deltas of a head ({self.heads}), in none of these figures: heads for "
                "other labels cannot be compared."
            )


ADAPTER_COLUMNS = (
    Column("modules", "module_count", ",d"),
    Column("rank", "rank", "d"),
    Column("parameters", "parameters", ",d"),
    Column("norm", "norm", ".4g"),
)
"""The figures of an adapter, as an object or as `check --json` gives it."""

FEW, TOLD = 12, 4
"""Adapters up to which each pair is spoken of; and pairs that are, of more."""

MOST = 24
"""Adapters of a heat map, and pairs, that are shown; `check --json` lists all."""


@dataclass(frozen=True)
class Check(Framed, Shown):
    """What the weights tell about K adapters.

    pairs: all K (K - 1) / 2, in the order given. energy_ratio: |sum dW|^2 / sum |dW|^2 over all
    modules: 1 when all are orthogonal, K when equal, below 1 when they cancel, NaN when all are
    zero.
    """

    TABLE: ClassVar[str] = "pairs"

    adapters: tuple[AdapterFigures, ...]
    pairs: tuple[Pair, ...]
    energy_ratio: float

    def to_json(self) -> dict[str, object]:
        """Give what `superpose check --json` prints: a figure that does not exist is None.

        All pairs with their modules at once; `in_parts` gives them one by one.
        """
        return {name: gathered(value) for name, value in self.in_parts().items()}

    def in_parts(self) -> dict[str, object]:
        """Give the same, `pairs` an iterator that makes each as it is read.

        Of many adapters they are far larger than all else: the command writes them so.

        >>> import json, superpose  # doctest: +SKIP
        >>> for pair in superpose.check(fleet).in_parts()["pairs"]:  # doctest: +SKIP
        ...     print(json.dumps(pair), file=lines)
        """
        return {
            "adapters": without_nan([vars(adapter) for adapter in self.adapters]),
            "pairs": (without_nan(_pair_json(pair)) for pair in self.pairs),
            "sum": without_nan({"energy_ratio": self.energy_ratio}),
        }

    def foremost(self) -> tuple[str, ...]:
        """Give the names of 24 adapters at most, those whose pairs are farthest from orthogonal."""
        found: dict[str, None] = {}
        for pair in sorted(self.pairs, key=_far, reverse=True):
            if len(found.keys() | {pair.a, pair.b}) <= MOST:
                found.update({pair.a: None, pair.b: None})
        return tuple(adapter.name for adapter in self.adapters if adapter.name in found)

    def shown(self) -> tuple[Part, ...]:
        """Give adapters, pairs with their verdicts, cosines as a heat map, and the sum's energy."""
        short = short_names([adapter.name for adapter in self.adapters])
        many = len(self.adapters) > FEW
        some, pairs = self.adapters[:MOST], _weightiest(self.pairs)
        labels = {id(pair): f"{short[pair.a]} + {short[pair.b]}" for pair in pairs}
        fewer = len(some) < len(self.adapters)
        count = f"{len(some)} of {len(self.adapters)} adapters." if fewer else ""
        fewer = len(pairs) < len(self.pairs)
        far = f" Of {len(self.pairs)} pairs the {MOST} farthest from orthogonal." if fewer else ""
        name = Column("adapter", lambda adapter: (short[adapter.name],))
        label = Column("pair", lambda pair: (short[pair.a], short[pair.b]))
        told = pairs[:TOLD] if many else pairs
        return (
            Table.of("Adapters", (name, *ADAPTER_COLUMNS), some, count),
            Table.of("Pairs", (label, *PAIR_COLUMNS), pairs, CHANCE + far),
            *(self._clusters(short) if many else [self._cosines(short)]),
            *(part for pair in told for part in pair.said(labels[id(pair)])),
            *(line for adapter in some for line in adapter.said(short[adapter.name])),
            self._energy(),
        )

    def _clusters(self, short: Mapping[str, str]) -> tuple[Part, ...]:
        """Give the clusters of many adapters, and cosines in their order."""
        from superpose.interference.many import as_many

        names = [adapter.name for adapter in self.adapters]
        at = {name: n for n, name in enumerate(names)}
        cosine, multiple = np.full((2, len(names), len(names)), np.nan)
        for pair in self.pairs:
            i, j = at[pair.a], at[pair.b]
            cosine[i, j] = cosine[j, i] = pair.cosine
            multiple[i, j] = multiple[j, i] = pair.multiple
        return as_many([short[name] for name in names], cosine, multiple)

    def _cosines(self, short: Mapping[str, str]) -> Heat:
        names = [adapter.name for adapter in self.adapters[:MOST]]
        found = {frozenset((pair.a, pair.b)): pair.multiple for pair in self.pairs}
        values = (tuple(found.get(frozenset((a, b))) for b in names) for a in names)
        shorter = tuple(short[name] for name in names)
        title = "Cosine of each pair in multiples of its floor (unrelated adapters: about -1 to 1)"
        return Heat(title, "adapter", shorter, shorter, tuple(values), COSINE)

    def _energy(self) -> Line:
        count = len(self.adapters)
        return Line(
            f"has {written(self.energy_ratio, '.3f')} times the energy of its parts: 1 when they "
            f"are orthogonal, up to {count} when they agree, below 1 when they cancel.",
            f"The sum of {all_of(count)}",
        )


def _weightiest(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Give all pairs, or of very many those with the largest multiples."""
    if len(pairs) <= MOST:
        return pairs
    return sorted(pairs, key=_far, reverse=True)[:MOST]


def _far(pair: Pair) -> float:
    """How far from orthogonal a pair is; beside a zero adapter it is nothing at all."""
    return abs(pair.multiple) if pair.cosine_floor > 0.0 else -1.0


def check(
    adapters: Sequence[Adapter],
    same_base: bool = False,
    *,
    heads: Heads = "sum",
    tree: Tree | None = None,
) -> Check:
    """Compare every pair of adapters, and all of them together.

    adapters: at least two of one base model. same_base: True says that differing names of the base
    model mean one. heads: as `exact_sum` takes it; whatever it is, what adapters store whole is in
    no figure, and deltas in heads are where all have one shape. tree: the base model's own names,
    which tell what two files mean where they alone do not.

    Reads factors only; no delta is formed and no base model is needed. Figures, their floors and
    when they are NaN: `Pair` and `ModuleFigures`. Invariant under A -> RA, B -> B R^-1.

    Raises BadInput for fewer than two adapters, DifferentBase as `check_same_base` does.
    """
    if len(adapters) < 2:
        raise BadInput(
            f"{counted(len(adapters), 'adapter')} to check; a check compares at least two",
            hint="superpose check A B [C ...]",
        )
    names = told_apart(adapters)
    compared = with_heads(adapters, heads)
    compared = together(compared, same_base=same_base, tree=tree, deltas_alone=True)
    figures = per_module(compared)
    words = [words_of(adapter, name) for adapter, name in zip(adapters, names, strict=True)]
    # In the largest adapter's scale, so that no square leaves float64.
    shares = figures.scales / (figures.scales.max() or 1.0)  # 0: all lie below float64
    gram = figures.inner.sum(axis=0) * np.outer(shares, shares)
    norms = figures.scales * np.sqrt(np.maximum(0.0, np.einsum("mkk->k", figures.inner)))
    total = float(np.trace(gram))
    return Check(
        adapters=tuple(
            _figures(name, a, whole, float(norm))
            for name, a, whole, norm in zip(names, compared, adapters, norms, strict=True)
        ),
        pairs=tuple(
            pair_figures(figures, i, j, adapters, words, same_base)
            for i, j in combinations(range(len(adapters)), 2)
        ),
        energy_ratio=max(0.0, float(gram.sum())) / total if total > 0 else math.nan,
    )


def _figures(name: str, compared: Adapter, whole: Adapter, norm: float) -> AdapterFigures:
    """Give one adapter's figures: of what is compared, and what of the whole is not."""
    held, kept = in_head(whole), in_head(compared)
    return AdapterFigures(
        name, whole.path, len(compared), compared.rank, compared.parameters, norm,
        stored_count=len(whole.replacements),
        heads=len(held.stored) + len(held.deltas) - len(kept.deltas),
        made=None if whole.made.plain else str(whole.made),
    )  # fmt: skip


def all_of(count: int) -> str:
    """Give `both`, or `all 3`."""
    return "both" if count == 2 else f"all {count}"


def told_apart(adapters: Sequence[Adapter]) -> tuple[str, ...]:
    """Give each adapter a name of its own: its name, else its path, else a number behind it."""
    names = [adapter.name for adapter in adapters]
    often = Counter(names)
    names = [a.path or n if often[n] > 1 else n for a, n in zip(adapters, names, strict=True)]
    often, seen = Counter(names), Counter[str]()
    for position, name in enumerate(names):
        seen[name] += 1
        if often[name] > 1:
            names[position] = f"{name} ({seen[name]})"
    return tuple(names)


def _pair_json(pair: Pair) -> dict[str, object]:
    # The adapters carry norms, counts and paths; the modules come last.
    own = ("norms", "held", "typed", "agreement", "contained", "modules")
    figures = {name: value for name, value in vars(pair).items() if name not in own}
    part = pair.contained
    return {
        **figures,
        "multiple": pair.multiple,
        **vars(pair.agreement),
        "contained": None if part is None else (pair.a, pair.b)[part.part],
        "contained_times": None if part is None else part.times,
        **pair.judgement._asdict(),
        "modules": [vars(module) for module in pair.modules],
    }
