"""Do these adapters add up? Every figure that the weights alone can tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from superpose.adapter import Adapter, Heads, in_head, together
from superpose.adapter.heads import with_heads
from superpose.errors import BadInput
from superpose.files import without_nan
from superpose.interference.modules import per_module
from superpose.interference.pair import Pair, pair_figures

if TYPE_CHECKING:
    from superpose.names.tree import Tree


@dataclass(frozen=True)
class AdapterFigures:
    """One adapter. norm: Frobenius norm of all its deltas. rank: the largest of a module.

    stored: tensors that it stores in place of the base's own, which are part of no figure here.
    heads: tensors of a head that are part of none: how many of the stored ones, and deltas of
    heads whose shapes differ. made: in words, how it was made, where it is not an exact sum of
    exact adapters.
    """

    name: str
    path: str | None
    modules: int
    rank: int
    parameters: int
    norm: float
    stored: int
    heads: int
    made: str | None = None


@dataclass(frozen=True)
class Check:
    """What the weights tell about K adapters.

    pairs: all K (K - 1) / 2, in the order given. energy_ratio: |sum dW|^2 / sum |dW|^2 over all
    modules: 1 when all are orthogonal, K when equal, below 1 when they cancel, NaN when all are
    zero.
    """

    adapters: tuple[AdapterFigures, ...]
    pairs: tuple[Pair, ...]
    energy_ratio: float

    def to_json(self) -> dict[str, object]:
        """Give what `superpose check --json` prints: a figure that does not exist is None."""
        figures: dict[str, object] = {
            "adapters": [vars(adapter) for adapter in self.adapters],
            "pairs": [_pair_json(pair) for pair in self.pairs],
            "sum": {"energy_ratio": self.energy_ratio},
        }
        return {name: without_nan(value) for name, value in figures.items()}

    def _repr_html_(self) -> str:
        from superpose.interference.shown import check_html

        return check_html(self)


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
            f"{len(adapters)} adapter(s) to check; a check compares at least two",
            hint="superpose check A B [C ...]",
        )
    names = told_apart(adapters)
    compared = with_heads(adapters, heads)
    compared = together(compared, same_base=same_base, tree=tree, deltas_alone=True)
    figures = per_module(compared)
    gram = figures.inner.sum(axis=0)
    norms = np.sqrt(np.maximum(0.0, np.diagonal(gram)))
    total = float(np.trace(gram))
    return Check(
        adapters=tuple(
            _figures(name, a, whole, float(norm))
            for name, a, whole, norm in zip(names, compared, adapters, norms, strict=True)
        ),
        pairs=tuple(
            pair_figures(figures, i, j, adapters, names, same_base)
            for i, j in combinations(range(len(adapters)), 2)
        ),
        energy_ratio=max(0.0, float(gram.sum())) / total if total > 0 else math.nan,
    )


def _figures(name: str, compared: Adapter, whole: Adapter, norm: float) -> AdapterFigures:
    """Give one adapter's figures: of what is compared, and what of the whole is not."""
    held, kept = in_head(whole), in_head(compared)
    return AdapterFigures(
        name, whole.path, len(compared), compared.rank, compared.parameters, norm,
        stored=len(whole.replacements),
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
