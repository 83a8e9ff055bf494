"""A study's `summary.json` as objects: what its cells say, with spreads, intervals and settings.

The fields are the file's keys. What an older summary did not hold yet has a default, which says so.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from superpose.errors import BadInput
from superpose.statistics.bootstrap import Interval

__all__ = [
    "Agreement",
    "Calibration",
    "Change",
    "DomainRows",
    "FigureCorrelation",
    "ForecastRow",
    "ForecastSummary",
    "Inside",
    "InsideOf",
    "Kept",
    "MethodRow",
    "Point",
    "SeedAdvice",
    "Spread",
    "SubsetSums",
    "SumRow",
    "Summary",
    "TunedWeights",
]

Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class _Held:
    """Part of a summary: a key that it does not know is refused."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}


@dataclass(frozen=True)
class Spread(_Held):
    """Mean, and standard deviation over seeds (None for one seed), and the values by seed."""

    mean: float
    spread: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Change(Spread):
    """A change in per cent, with its 95 % interval over test questions, seeds averaged."""

    interval: Interval | None = None


@dataclass(frozen=True)
class Kept(_Held):
    """The share of the own adapter's gain over the base that is left; None where no gain."""

    share: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class DomainRows(_Held):
    """Rows of a domain, how many of their answers were cut or left out, answer tokens scored."""

    train_rows: int = 0
    test_rows: int
    calibration_rows: int = 0
    cut_train_rows: int = 0
    cut_test_rows: int = 0
    left_out_rows: int = 0
    answer_tokens: int


@dataclass(frozen=True)
class SumRow(_Held):
    """A naive sum on one domain, or on `union`: perplexity beside merged data, base and singles.

    dppl_*: its change against these. interference: nats an answer token above the own adapter.
    """

    domain: str
    sum: Spread
    merged: Spread
    dppl_merged: Change
    base: Spread
    dppl_base: Change
    single: Spread
    dppl_single: Change
    interference: Spread


@dataclass(frozen=True)
class SubsetSums(_Held):
    """A subset's naive sum, a row for each of its domains and their union."""

    domains: Names
    rows: tuple[SumRow, ...]


@dataclass(frozen=True)
class MethodRow(_Held):
    """What a method made of a subset, on one domain or on `union`.

    dppl_merged: against merged-data fine-tuning of equal epochs. dppl_single: against each domain's
    own adapter. kept: None where the summary is older than that figure.
    """

    subset: Names
    domain: str
    method: str
    perplexity: Spread
    dppl_merged: Change
    dppl_single: Change
    kept: Kept | None = None


@dataclass(frozen=True)
class ForecastRow(_Held):
    """A naive sum on one of its domains: what was predicted and measured, nats an answer token."""

    seed: int
    subset: Names
    domain: str
    predicted_nll: float
    low: float
    high: float
    measured_nll: float
    predicted_interference: float
    interference_low: float
    interference_high: float
    measured_interference: float


@dataclass(frozen=True)
class Inside(_Held):
    """How many measured values lie in the interval that was predicted for them."""

    inside: int
    of: int


@dataclass(frozen=True)
class InsideOf(_Held):
    """The same for losses and for interferences."""

    nll: Inside
    interference: Inside


@dataclass(frozen=True)
class Agreement(_Held):
    """Predicted against measured interference: correlations, and the error in nats.

    Without intervals: the points share adapters and domains, and are not independent.
    """

    n: int
    pearson: float | None
    spearman: float | None
    mean_absolute_error: float
    mean_measured: float


@dataclass(frozen=True)
class SeedAdvice(_Held):
    """A seed's advice by its forecast (`landscape.Advice`); a share is None for no gain."""

    seed: int
    verdict: str
    reason: str
    naive: float | None
    tuned: float | None
    weights: Mapping[str, float]


@dataclass(frozen=True)
class TunedWeights(_Held):
    """A seed's best task weights for every subset, which is joined by `+`."""

    seed: int
    weights: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Calibration(_Held):
    """What the forecasts cost: rows and tokens of one seed, seconds of all."""

    rows: int
    tokens: int
    forward_equivalents: float
    seconds: float
    rows_of: Mapping[str, int]


@dataclass(frozen=True)
class ForecastSummary(_Held):
    """What the seeds' forecasts said beside what was measured."""

    rows: tuple[ForecastRow, ...]
    inside: InsideOf
    interference: Agreement
    advice: tuple[SeedAdvice, ...]
    tuned: tuple[TunedWeights, ...]
    calibration: Calibration


@dataclass(frozen=True)
class Point(_Held):
    """One subset at one seed: what the weights tell, and what its naive sum did.

    A figure that does not exist is None.
    """

    seed: int
    domains: Names
    rms_cosine: float | None
    cosine: float | None
    output_overlap: float | None
    input_overlap: float | None
    norm_ratio: float | None
    energy_ratio: float | None
    norm: float | None
    dppl_percent: float
    interference: float


@dataclass(frozen=True, kw_only=True)
class FigureCorrelation(_Held):
    """A figure of the weights against dPPL (`statistics.Correlation`).

    among: `pairs`, or `all` for subsets of every size, as in summaries that do not say it.
    """

    figure: str
    among: str = "all"
    n: int
    combinations: int
    pearson: float | None
    spearman: float | None
    slope: float | None
    intercept: float | None
    pearson_interval: Interval | None
    spearman_interval: Interval | None
    slope_interval: Interval | None
    intercept_interval: Interval | None
    chance: float | None
    permutation_p: float | None
    note: str


@dataclass(frozen=True, kw_only=True)
class Summary(_Held):
    """What a study found.

    own_adapters: perplexity of the base and of every single adapter on every domain. methods: empty
    and forecast: None where there was none, or the summary is older. seconds: of all trainings and
    all evaluations.
    """

    name: str
    base: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    domains: Mapping[str, DomainRows]
    own_adapters: Mapping[str, Mapping[str, Spread]]
    subsets: tuple[SubsetSums, ...]
    methods: tuple[MethodRow, ...] = ()
    forecast: ForecastSummary | None = None
    points: tuple[Point, ...]
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
        return next(row for row in found.rows if row.domain == domain)

    def methods_on(self, subset: Names, domain: str) -> dict[str, MethodRow]:
        """Give what each method made of a subset, on a domain of it or on `union`."""
        return {
            row.method: row for row in self.methods if (row.subset, row.domain) == (subset, domain)
        }

    def correlation(self, figure: str, among: str) -> FigureCorrelation:
        """Give a figure's correlation. Raises StopIteration where there is none."""
        return next(c for c in self.correlations if (c.figure, c.among) == (figure, among))

    def to_json(self) -> dict[str, Any]:
        """Give what `summary.json` holds."""
        return dict(_adapter().dump_python(self, mode="json"))

    @classmethod
    def from_json(cls, content: object, where: object = None) -> Summary:
        """Read what `to_json` gave. where: the file, for the message.

        Raises BadInput for what is no summary, or holds what this version does not know.
        """
        from pydantic import ValidationError

        try:
            read: Summary = _adapter().validate_python(content)
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
