"""What is predicted of a sum on a domain, and what an adapter costs another's domain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superpose.adapter import sum_or_formula
from superpose.errors import BadInput
from superpose.shown import (
    Cell,
    Column,
    Line,
    Part,
    Scale,
    Shown,
    Table,
    field_of,
    perplexity,
    written,
)

__all__ = [
    "DISTURBANCE_COLUMNS",
    "FORETOLD",
    "LOST",
    "MEASURED",
    "Disturbance",
    "Nats",
    "Predicted",
    "checked_weights",
    "how",
    "predicted_table",
    "title_of",
    "written_change",
]

Array = NDArray[np.float64]

Nats: TypeAlias = Mapping[tuple[tuple[float, ...], str], float]
"""By task weights and domain, nats an answer token."""


MEASURED, FORETOLD = "measured", "foretold"
"""How a figure is known: from the calibration rows at these very weights, or from the polynomial
through what was measured elsewhere."""


def written_change(nats: float) -> str:
    """Write a difference of losses as that of the perplexities, in per cent."""
    return written(100 * math.expm1(min(nats, 700.0)), "+.1f")


LOST = Scale("% of perplexity", "", 0.0, math.log(2.0), written_change)
"""Of a loss against that of the domain's own adapter alone: orange worse, blue better. The shade is
strongest at twice its perplexity, or half of it."""

_NLL = Column("perplexity", "nll", perplexity, ("nll_low", "nll_high"))

_WEIGHTS = Column("task weights", lambda row: sum_or_formula(field_of(row, "weights")))

_COLUMNS = (
    _WEIGHTS,
    Column("domain", "domain"),
    _NLL,
    Column(
        "% against its own adapter", "interference", written_change,
        ("interference_low", "interference_high"),
    ),
)  # fmt: skip

DISTURBANCE_COLUMNS = (
    Column("domain", "domain"),
    Column("adapter", "adapter"),
    Column("loses", "nll", written_change, ("nll_low", "nll_high")),
    Column(
        "most through",
        lambda row: ", ".join(
            f"{kind} {written_change(nll)}" for kind, nll in [*row.kinds().items()][:3]
        ),
    ),
)

_KINDS = (
    Column("kind", lambda item: item[0]),
    Column("% of perplexity", lambda item: item[1], written_change),
)


_ENDS = {
    "nll_low": -math.inf,
    "nll_high": math.inf,
    "interference_low": -math.inf,
    "interference_high": math.inf,
}
"""What an end is where there is no interval, for which a file has null."""


def _perplexity(nll: float) -> float:
    """Give exp(nll), or infinity where no number is as large."""
    try:
        return math.exp(nll)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Predicted(Shown):
    """One weighting on one domain: nats an answer token, with a 95 % interval.

    interference: nats more than the domain's own adapter alone, with its own (paired) interval.
    how: `measured`, on the calibration rows at these very weights, so that the interval is for
    having these rows and not others; or `foretold`, by the polynomial, which may miss as well.
    """

    weights: Mapping[str, float]
    domain: str
    nll: float
    nll_low: float
    nll_high: float
    interference: float
    interference_low: float
    interference_high: float
    how: str = FORETOLD

    @property
    def sure_interference(self) -> float | None:
        """The interference where it is above 0 by more than its interval, which may be missing."""
        low = self.interference_low if math.isfinite(self.interference_low) else self.interference
        return self.interference if min(low, self.interference) > 0 else None

    @property
    def perplexity(self) -> float:
        """The perplexity: exp(nll)."""
        return _perplexity(self.nll)

    def to_json(self) -> dict[str, Any]:
        """Give one row of `predict --json`."""
        perplexities = {
            key.replace("nll", "perplexity"): _perplexity(getattr(self, key))
            for key in ("nll", "nll_low", "nll_high")
        }
        return {**vars(self), "weights": dict(self.weights), **perplexities}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Predicted:
        """Read what `to_json` gave, from a file or from memory."""
        ends = {key: end if row[key] is None else row[key] for key, end in _ENDS.items()}
        known = {key: row[key] for key in cls.__dataclass_fields__ if key in row}
        return cls(**known | ends)

    def shown(self) -> tuple[Part, ...]:
        """Give one weighting on one domain."""
        how = "Foretold" if self.how == FORETOLD else "Measured on the calibration rows"
        return (Table.of(f"{how} (95 % interval)", _COLUMNS, [self]),)


@dataclass(frozen=True)
class Disturbance(Shown):
    """What one adapter's presence costs another's domain, and through which modules.

    nll: nats an answer token that `domain` loses when `adapter` joins its own, measured on the
    calibration rows, with a 95 % interval over them. modules: contributions, which sum to nll.
    """

    domain: str
    adapter: str
    nll: float
    nll_low: float
    nll_high: float
    modules: Mapping[str, float]

    def kinds(self) -> dict[str, float]:
        """Give the contributions by kind of module (q_proj, ...), largest first."""
        sums: dict[str, float] = {}
        for module, value in self.modules.items():
            kind = module.rpartition(".")[2]
            sums[kind] = sums.get(kind, 0.0) + value
        return dict(sorted(sums.items(), key=lambda item: -abs(item[1])))

    def to_json(self) -> dict[str, Any]:
        """Give the figures, with contributions by kind and by module."""
        return {**vars(self), "modules": dict(self.modules), "kinds": self.kinds()}

    def shown(self) -> tuple[Part, ...]:
        """Give what a domain loses, and through which kinds of module."""
        lost = DISTURBANCE_COLUMNS[2].cell(self)
        line = Line(
            f"{lost.text} % of perplexity ({lost.beside})",
            f"{self.domain} loses to {self.adapter}:",
        )
        kinds = Table.of("Through kinds of module", _KINDS, self.kinds().items())
        return line, *([kinds] if kinds.rows else [])


def predicted_table(
    rows: Sequence[object], domains: Sequence[str], measured: Nats | None = None
) -> Table:
    """Give weightings down and domains across: perplexity, its interval, and measured on test rows.

    rows: `Predicted`, or rows of `predict --json`, those of one weighting together. A figure that
    is foretold has `~` before it. measured: on test rows, where it is known.
    """

    def cell(row: object) -> Cell:
        weights = tuple(field_of(row, "weights").values())
        known = (measured or {}).get((weights, field_of(row, "domain")))
        found = _NLL.cell(row)._replace(shade=LOST.shade(field_of(row, "interference")))
        if how(row) == FORETOLD:
            found = found._replace(text=f"~{found.text}")
        if known is None:
            return found
        return found._replace(beside=f"{found.beside}; test {perplexity(known)}")

    groups: dict[tuple[float, ...], dict[str, object]] = {}
    for row in rows:
        of = groups.setdefault(tuple(field_of(row, "weights").values()), {})
        of[field_of(row, "domain")] = row
    return Table(
        f"{title_of(rows)} (95 % interval)",
        (Column("task weights"), *(Column(name, form=perplexity) for name in domains)),
        tuple(
            (
                _WEIGHTS.cell(next(iter(of.values()))),
                *(cell(of[name]) if name in of else Cell("") for name in domains),
            )
            for of in groups.values()
        ),
        shades="Orange: worse than the domain's own adapter alone, blue: better",
    )


def title_of(rows: Iterable[object]) -> str:
    """Say what the figures of these rows are."""
    kinds = {how(row) for row in rows}
    if kinds == {MEASURED}:
        return "Perplexity of the answers, measured on the calibration rows"
    if kinds == {FORETOLD}:
        return "Perplexity of the answers, foretold (~)"
    return "Perplexity of the answers, measured on the calibration rows or foretold (~)"


def how(row: object) -> str:
    """Give how a row's figures are known; those that do not say were foretold by a fit."""
    if isinstance(row, Mapping):
        return str(row.get("how", FORETOLD))
    return str(field_of(row, "how"))


def checked_weights(weights: Sequence[Sequence[float]] | Array, adapters: int) -> Array:
    """Give task weights as (S, K).

    Raises BadInput for another number of them than of adapters, or one that is not finite.
    """
    points = np.asarray(weights, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != adapters:
        raise BadInput(f"{adapters} adapters take as many task weights, not {points.shape}")
    if not np.isfinite(points).all():
        raise BadInput("a task weight is not finite")
    return points
