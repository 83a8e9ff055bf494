"""What a study measured: perplexities with their spread, changes with intervals, shares kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from superpose.statistics import over_seeds
from superpose.statistics.bootstrap import Interval

__all__ = [
    "AccuracyRow",
    "AgainstSum",
    "Held",
    "Kept",
    "MatchRow",
    "MethodRow",
    "Names",
    "RowCounts",
    "Spread",
    "SpreadChange",
    "SubsetSums",
    "SumRow",
]

Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """Part of a summary: a key that it does not know is refused."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}


@dataclass(frozen=True)
class Spread(Held):
    """Mean, and standard deviation over seeds (None for one seed), and the values by seed."""

    mean: float
    spread: float | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class SpreadChange(Spread):
    """A change in per cent.

    interval: 95 %, over test questions alone, seeds averaged. What is shown is `ends`.
    """

    interval: Interval | None = None

    @property
    def ends(self) -> Interval | None:
        """The 95 % interval over test questions and seeds (`statistics.over_seeds`)."""
        return over_seeds(self.values, self.interval)


@dataclass(frozen=True)
class Kept(Held):
    """The share of the own adapter's gain over the base that is left; None where no gain."""

    share: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class RowCounts(Held):
    """Rows of a domain, how many of their answers were cut or left out, answer tokens scored."""

    train_rows: int = 0
    test_rows: int
    calibration_rows: int = 0
    cut_train_rows: int = 0
    cut_test_rows: int = 0
    left_out_rows: int = 0
    answer_tokens: int


@dataclass(frozen=True)
class AccuracyRow(Held):
    """What a method made of a subset's accuracy among choices, on one domain or on `union`.

    interval: Wilson's 95 % of the mean over seeds, which have the same questions.
    """

    subset: Names
    domain: str
    method: str
    questions: int
    chance: float
    accuracy: Spread
    per_token: Spread
    interval: Interval


@dataclass(frozen=True)
class MatchRow(Held):
    """How often a method said the very answer of a subset's questions, greedily.

    domain: one, or `union`. interval: Wilson's 95 % of the mean over seeds, as of AccuracyRow.
    """

    subset: Names
    domain: str
    method: str
    questions: int
    share: Spread
    interval: Interval


@dataclass(frozen=True)
class SumRow(Held):
    """A naive sum on one domain, or on `union`: perplexity beside merged data, base and singles.

    dppl_*: its change against these. interference: nats an answer token above the own adapter.
    """

    domain: str
    sum: Spread
    merged: Spread
    dppl_merged: SpreadChange
    base: Spread
    dppl_base: SpreadChange
    single: Spread
    dppl_single: SpreadChange
    interference: Spread


@dataclass(frozen=True)
class SubsetSums(Held):
    """A subset's naive sum, a row for each of its domains and their union."""

    domains: Names
    measured: tuple[SumRow, ...]


@dataclass(frozen=True)
class AgainstSum(Held):
    """A method beside the naive sum on the same questions of one domain, or of `union`.

    difference: nats an answer token, below 0 better. error: its standard error over questions and
    seeds; None where one question tells of none. tie: nearer than two of them.
    """

    subset: Names
    domain: str
    method: str
    difference: float
    error: float | None
    tie: bool


@dataclass(frozen=True)
class MethodRow(Held):
    """What a method made of a subset, on one domain or on `union`.

    dppl_merged: against merged-data fine-tuning of equal epochs. dppl_single: against each domain's
    own adapter. kept: None where the summary is older than that figure.
    """

    subset: Names
    domain: str
    method: str
    perplexity: Spread
    dppl_merged: SpreadChange
    dppl_single: SpreadChange
    kept: Kept | None = None
