"""RegMean: the one delta that answers each domain's inputs as that domain's adapter does."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from superpose.adapter import Adapter, Delta
from superpose.adapter.made import energy_kept
from superpose.adapter.progress import told
from superpose.compose.deltas_alone import check_deltas_alone
from superpose.compose.method import Method
from superpose.compose.weighted import weighted_sum
from superpose.data.input_statistics import InputStatistics
from superpose.errors import BadInput, BadSetting, Refused, SuperposeWarning
from superpose.lowrank import Term, Terms, stack
from superpose.lowrank.second_moment import SecondMoment, regressed

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress

_LEAST_RIDGE = 1e-6
"""Where the sum of second moments cannot be inverted."""


@dataclass(frozen=True)
class RegMean(Method):
    """argmin over dW of sum_k |(dW - lambda_k dW_k) X_k|^2, in each target module.

    X_k are the inputs that the module sees on rows of domain k; C_k = X_k X_k^T / tokens is all
    that is needed of them, and questions need no answers. The solution keeps the Bs:
    dW = sum_k B_k A_k', A_k' = lambda_k A_k C_k (sum_j C_j + eps I)^-1, so its rank is that of the
    exact sum. Jin et al., Dataless Knowledge Fusion, arXiv 2212.09849, for whole weights; here in
    the space of the factors. It depends on the deltas alone, not on how they were split. Equal C_k
    give the average; one adapter alone comes back, but for the ridge. A domain without statistics
    of a module does not count there.

    statistics: of each adapter's domain, in the adapters' order. ridge: eps by the mean diagonal of
    sum_j C_j; take 0.01 where adapters share their A. rank: the most that a module of the result
    has.

    Merging raises BadSetting for another number of statistics than of adapters, BadInput for a
    module that none of them tells of or of another size, Refused for adapters that hold more than
    deltas of linear layers.
    """

    name: ClassVar[str] = "regmean"

    statistics: tuple[InputStatistics, ...] = field(default=(), repr=False)
    ridge: float = 1e-3
    rank: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not (self.ridge >= 0.0 and math.isfinite(self.ridge)):
            raise BadSetting(f"{self.ridge:g} is no ridge: it is at least 0", where="ridge")

    def merged(
        self, parts: Sequence[Adapter], weights: Sequence[float], progress: Progress | None
    ) -> Adapter:
        """Give the adapters' Bs with the As of the regression."""
        check_deltas_alone(parts, weights, self.name)
        if len(self.statistics) != len(parts):
            raise BadSetting(
                f"{len(parts)} adapters and the input statistics of {len(self.statistics)} domains",
                where="statistics",
                hint="`regmean` needs statistics of each adapter's own domain: calibration rows "
                "and the base model, or a file beside the adapter that `superpose statistics` "
                "wrote.",
            )
        total = weighted_sum(parts, weights)
        deltas = {
            key: replace(delta, terms=self._terms(key, delta, parts, weights))
            for key, delta in told(total, progress)
        }
        found = replace(total, deltas=deltas, made=self.made_of(total, parts, "the regression"))
        if self.rank is None:
            return found
        cut, kept = found.compress_measured(self.rank)
        share = None if all(each.exact for each in kept) else energy_kept(kept)
        return replace(cut, made=self.made_of(total, parts, "the regression", share))

    def _terms(
        self, key: str, delta: Delta, parts: Sequence[Adapter], weights: Sequence[float]
    ) -> Terms:
        """Give one module's terms, one an adapter that has it."""
        if delta.place is not None:
            raise Refused(
                f"`{self.name}` knows inputs of linear layers, and this is a {delta.place.kind}",
                where=key,
                hint="Take another --method, or leave that module out.",
            )
        known = [k for k, found in enumerate(self.statistics) if key in found]
        have = [
            k for k, w in enumerate(weights) if w != 0.0 and key in parts[k] and k in set(known)
        ]
        missing = [k for k, part in enumerate(parts) if key in part and k not in set(known)]
        if missing:
            raise BadInput(
                f"the input statistics of {parts[missing[0]].name}'s domain do not tell of `{key}`",
                where="statistics",
            )
        if not have:
            return delta.terms
        factors = [stack(parts[k][key].terms, "float64") for k in have]
        order = have + [k for k in known if k not in have]
        moments = [self._moment(k, key, delta.shape[1]) for k in order]
        rows = [weights[k] * np.asarray(f.A) for k, f in zip(have, factors, strict=True)]
        found = self._regressed(key, rows, moments)
        return tuple(Term(1.0, f.B, A) for f, A in zip(factors, found, strict=True))

    def _moment(self, domain: int, key: str, size: int) -> SecondMoment:
        moment = self.statistics[domain][key]
        if moment.size != size:
            raise BadInput(
                f"`{key}` has {size} inputs, and statistics of {moment.size}", where="statistics"
            )
        return moment

    def _regressed(
        self, key: str, rows: Sequence[np.ndarray], moments: Sequence[SecondMoment]
    ) -> list[np.ndarray]:
        """Solve; where that cannot be done without a ridge, say so and take a small one."""
        try:
            found = regressed(rows, moments, self.ridge)
            if all(np.isfinite(A).all() for A in found):
                return found
        except np.linalg.LinAlgError:
            pass
        if not any(moment.trace for moment in moments):
            raise BadInput("all inputs of this module are zero", where=key)
        warnings.warn(
            f"`{key}`: the inputs' second moment is singular; a ridge of {_LEAST_RIDGE:g} is taken",
            SuperposeWarning,
            stacklevel=2,
        )
        return regressed(rows, moments, max(self.ridge, _LEAST_RIDGE))
