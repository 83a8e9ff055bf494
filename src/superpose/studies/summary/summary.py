"""A study's `summary.json` as one object: read, written, and looked up in.

The fields are the file's keys. What an older summary did not hold yet has a default, which says so.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from superpose.errors import BadInput
from superpose.shown import Framed
from superpose.studies.former_names import summary_today
from superpose.studies.summary.foreseen import ForecastSummary
from superpose.studies.summary.measured import (
    AccuracyRow,
    AgainstSum,
    Held,
    MatchRow,
    MethodRow,
    Names,
    RowCounts,
    Spread,
    SubsetSums,
    SumRow,
)
from superpose.studies.summary.related import FigureCorrelation, SubsetPoint

__all__ = ["Summary"]


@dataclass(frozen=True, kw_only=True)
class Summary(Framed, Held):
    """What a study found.

    own_adapters: perplexity of the base and of every single adapter on every domain. methods and
    against_sum: empty, and forecast: None, where there was none, or the summary is older. seconds:
    of all trainings and all evaluations. accuracies: of test rows with choices; empty where none
    has any. matches: of answers that were said; empty where none were.
    """

    TABLE: ClassVar[str] = "methods"

    name: str
    base: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    domains: Mapping[str, RowCounts]
    own_adapters: Mapping[str, Mapping[str, Spread]]
    subsets: tuple[SubsetSums, ...]
    methods: tuple[MethodRow, ...] = ()
    against_sum: tuple[AgainstSum, ...] = ()
    accuracies: tuple[AccuracyRow, ...] = ()
    matches: tuple[MatchRow, ...] = ()
    forecast: ForecastSummary | None = None
    points: tuple[SubsetPoint, ...]
    correlations: tuple[FigureCorrelation, ...]
    remarks: tuple[str, ...]
    seconds: Mapping[str, float]
    versions: Mapping[str, str | None]
    machine: Mapping[str, str | int | None] = field(default_factory=dict)

    @property
    def whole(self) -> Names:
        """The largest subset: all adapters."""
        return max((subset.domains for subset in self.subsets), key=len)

    def sums_on(self, subset: Names, domain: str) -> SumRow:
        """Give a subset's naive sum on a domain of it or on `union`."""
        (found,) = (each for each in self.subsets if each.domains == subset)
        return next(row for row in found.measured if row.domain == domain)

    def methods_on(self, subset: Names, domain: str) -> dict[str, MethodRow]:
        """Give what each method made of a subset, on a domain of it or on `union`."""
        return {
            row.method: row for row in self.methods if (row.subset, row.domain) == (subset, domain)
        }

    def correlation(self, figure: str, among: str) -> FigureCorrelation:
        """Give a figure's correlation. Raises StopIteration where there is none."""
        return next(c for c in self.correlations if (c.figure, c.among) == (figure, among))

    def to_json(self) -> dict[str, Any]:
        """Give what `summary.json` holds; no empty table of those that came later."""
        content = dict(_adapter().dump_python(self, mode="json"))
        empty = [key for key in ("against_sum", "accuracies", "matches") if not getattr(self, key)]
        return {key: value for key, value in content.items() if key not in empty}

    @classmethod
    def from_json(cls, content: object, where: object = None) -> Summary:
        """Read what `to_json` gave. where: the file, for the message.

        What an older one calls otherwise is read by today's names.

        Raises BadInput for what is no summary, or holds what this version does not know.
        """
        from pydantic import ValidationError

        try:
            read: Summary = _adapter().validate_python(summary_today(content))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise BadInput(
                f"is no summary that this version reads: {place}: {first['msg']}",
                where=where,
                hint="Run the study again in its folder: what is finished is kept, and the summary "
                "is made anew.",
            ) from None
        return read


@functools.cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Summary)
