"""What a merge method makes of the sum of all adapters, beside what task weights make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superpose.landscape.adding_up import Share, least, share_text
from superpose.landscape.forecast import Forecast, quantile_of
from superpose.landscape.predicted import FORETOLD, LOST, Predicted
from superpose.landscape.predictions import Predictions
from superpose.landscape.sample import Sample
from superpose.shown import Cell, Column, Line, Part, Table, perplexity
from superpose.shown.words import counted, figure

__all__ = ["MergedOn", "MergedSum", "merged_on", "merged_parts", "merged_sentence", "merged_table"]

Array = NDArray[np.float64]

NAIVE, BEST = "naive sum", "best weights"
"""What a merge is held against."""


@dataclass(frozen=True)
class MergedOn:
    """A merged adapter on one domain: nats an answer token, with a 95 % interval over rows.

    interference: nats more than the domain's own adapter alone, with its own (paired) interval.
    test: nats on test rows, of a merge that all calibration rows tell of; None without any.
    """

    domain: str
    nll: float
    nll_low: float
    nll_high: float
    interference: float
    interference_low: float
    interference_high: float
    test: float | None = None


@dataclass(frozen=True)
class MergedSum:
    """What a merge method makes of all adapters, measured on the calibration rows.

    method: by its name. passes: forward passes of each calibration row. seconds: that it took.
    command: that writes it.
    """

    method: str
    domains: tuple[MergedOn, ...]
    passes: float
    seconds: float
    command: str

    def shares(self, known: Predictions) -> list[Share]:
        """Give what each domain keeps of its own adapter's gain."""
        return [
            known.kept_of(on.domain, on.interference, on.interference_low, on.interference_high)
            for on in self.domains
        ]

    def to_json(self) -> dict[str, Any]:
        """Give one of `methods` of `predict --json`."""
        return {**vars(self), "domains": [dict(vars(on)) for on in self.domains]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> MergedSum:
        """Read what `to_json` gave."""
        return cls(**{**content, "domains": tuple(MergedOn(**on) for on in content["domains"])})


def merged_on(found: Forecast, domain: int, nats: Array, test: float | None = None) -> MergedOn:
    """Hold what the calibration rows of a domain cost under a merged adapter against its own.

    nats: (R,), of each row's answer, in the rows' order.
    """
    sample = found.samples[domain]
    nowhere = np.full((1, len(found.names)), np.nan)
    slopes = np.full((1, *sample.gradient.shape[1:]), np.nan)
    all_of = sample.joined(Sample(nowhere, nats[None], slopes, sample.tokens, sample.modules))
    own, at = sample.at(found.own(domain)), len(all_of.points) - 1
    assert own is not None, "an own adapter is measured by every plan"
    wide = quantile_of(len(sample.tokens))
    nll, lost = all_of.more(at), all_of.more(at, own)
    (low, high), (least_lost, most_lost) = (
        (value - wide * error, value + wide * error) for value, error in (nll, lost)
    )
    return MergedOn(found.domains[domain], nll[0], low, high, lost[0], least_lost, most_lost, test)


def merged_parts(
    known: Predictions, merged: MergedSum, weights: Mapping[str, float] | None, rows: int
) -> tuple[Part, ...]:
    """Give the table, the sentence and the command that writes it; as `merged_sentence`."""
    claim, figures = merged_sentence(known, merged, weights, rows)
    written = Line(merged.command, "It is written by:", whole=True)
    return merged_table(known, merged, weights), Line(figures, claim), written


def merged_sentence(
    known: Predictions, merged: MergedSum, weights: Mapping[str, float] | None, rows: int
) -> tuple[str, str]:
    """Say what the method keeps beside task weights: a claim up to a colon, and its figures.

    weights: the best that are known, by adapter. rows: of calibration, all domains together.
    """
    rivals = _rivals(known, weights)
    here = least(merged.shares(known))
    kept = {name: known.least(point) for name, point in rivals.items()}
    best = max(kept, key=lambda name: kept[name].kept or 0.0)
    how = (
        f"measured on {counted(rows, 'calibration row')}, each under a merge made from the other "
        f"half; {merged.passes:g} forward passes of each, {merged.seconds:.0f} s"
    )
    if here.kept is None:
        costs = {name: _mean_cost(known, point) for name, point in rivals.items()}
        best = min(costs, key=costs.__getitem__)
        mine = float(np.mean([on.interference for on in merged.domains]))
        word = "less" if mine < costs[best] else "no less"
        nats = f"{figure(mine, '+.3f')} nats an answer token, {best} {figure(costs[best], '+.3f')}"
        return f"{merged.method} costs {word} than {best}:", (
            f"against the own adapters {nats}, on the mean of the domains ({how})."
        )
    word = _more(here, kept[best])
    others = ", ".join(f"{name} at least {share_text(share)}" for name, share in kept.items())
    return f"{merged.method} {word} than {best}:", (
        f"of each adapter's gain at least {share_text(here)}, least {known.sized(here)}; {others} "
        f"({how})."
    )


def merged_table(
    known: Predictions, merged: MergedSum, weights: Mapping[str, float] | None
) -> Table:
    """Domains down, methods across: perplexity and its interval, own adapter first."""
    rivals = _rivals(known, weights)
    rows = [
        (
            Cell(on.domain),
            _cell(known.at(known.own(on.domain), on.domain)),
            *(_cell(known.at(point, on.domain)) for point in rivals.values()),
            _merged_cell(on),
        )
        for on in merged.domains
    ]
    columns = (
        Column("domain"),
        *(Column(name, form="") for name in ("own adapter", *rivals, merged.method)),
    )
    return Table(
        "The sum of all on each domain: perplexity of the answers (95 % interval)",
        columns,
        tuple(rows),
        shades="Orange: worse than the domain's own adapter alone, blue: better",
    )


def _rivals(
    known: Predictions, weights: Mapping[str, float] | None
) -> dict[str, tuple[float, ...]]:
    best = {} if weights is None else {BEST: tuple(weights[name] for name in known.adapters)}
    return {NAIVE: known.naive, **best}


def _more(here: Share, there: Share) -> str:
    """Say whether a share is larger than another: surely, perhaps or not."""
    assert here.kept is not None
    reference = 1.0 if there.kept is None else there.kept
    if here.kept <= reference:
        return "keeps no more"
    low = here.kept if here.low is None else here.low
    return "keeps more" if low > reference else "may keep more"


def _mean_cost(known: Predictions, point: Sequence[float]) -> float:
    return float(np.mean([known.at(point, domain).interference for domain in known.domains]))


def _cell(row: Predicted) -> Cell:
    sign = "~" if row.how == FORETOLD else ""
    found = _figure(row.nll, row.nll_low, row.nll_high, row.interference)
    return found._replace(text=f"{sign}{found.text}")


def _merged_cell(on: MergedOn) -> Cell:
    found = _figure(on.nll, on.nll_low, on.nll_high, on.interference)
    if on.test is None:
        return found
    return found._replace(beside=f"{found.beside}; test {perplexity(on.test)}")


def _figure(nll: float, low: float, high: float, more: float) -> Cell:
    cell = _NLL.cell({"nll": nll, "nll_low": low, "nll_high": high})
    return cell._replace(shade=LOST.shade(more))


_NLL = Column("perplexity", "nll", perplexity, ("nll_low", "nll_high"))
