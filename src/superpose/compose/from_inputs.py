"""Methods that ask what each adapter's domain sends into the modules: second moments of inputs."""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from superpose.adapter import Adapter
from superpose.adapter.made import energy_kept
from superpose.adapter.progress import told
from superpose.compose.asked_rank import check_asked_rank
from superpose.compose.deltas_alone import check_deltas_alone, split_of
from superpose.compose.method import Method
from superpose.compose.shared_inputs import RIDGE, overlapping
from superpose.compose.weighted import weighted_sum
from superpose.data.input_statistics import InputStatistics
from superpose.errors import BadInput, BadSetting, Refused, SuperposeWarning
from superpose.lowrank import Term
from superpose.lowrank.canonical_split import significant, tall_svd
from superpose.lowrank.second_moment import SecondMoment
from superpose.lowrank.terms import Array
from superpose.shown.words import counted

if TYPE_CHECKING:
    from superpose.adapter.progress import Progress

_RIDGE = 1e-3
"""Where none is given, and no two adapters read the same inputs."""

_RAISED = tuple(10.0**power for power in range(-6, 1))
"""Ridges of which the first that serves is taken where second moments cannot be inverted."""


_OF_ALL = (
    "Make them of all its modules: superpose statistics BASE ROWS.jsonl -o ADAPTER --force. Or "
    "give rows of each domain: --data ROWS.jsonl."
)


@dataclass(frozen=True)
class FromInputs(Method):
    """A method that keeps each adapter's B in a module, and finds its A from a regression there.

    statistics: of each adapter's domain, in the adapters' order. ridge: what is added to the
    regression's matrix, by its mean diagonal; None is 0.001, and 0.01 in modules where half of one
    adapter's inputs are another's, as with a common A (|V_i^T V_j|^2 / the smaller rank >= 0.5).
    rank: the most that a module of the result has.

    Merging raises BadSetting for another number of statistics than of adapters, BadInput for a
    module that none of them tells of or of another size, Refused for adapters that hold more than
    deltas of linear layers. Where a matrix cannot be inverted the ridge is raised, to 1e-6 or the
    first of ten times that and so on, and one SuperposeWarning says it of all modules.
    """

    what: ClassVar[str]
    """What the result is, in words, before `of deltas`."""

    counts_all: ClassVar[bool]
    """Whether a domain counts in modules that its adapter lacks: there it asks for no change."""

    adds: ClassVar[bool] = False

    statistics: tuple[InputStatistics, ...] = field(default=(), repr=False)
    ridge: float | None = None
    rank: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.ridge is not None and not (self.ridge >= 0.0 and math.isfinite(self.ridge)):
            raise BadSetting(f"{self.ridge:g} is no ridge: it is at least 0", where="ridge")

    @abstractmethod
    def solved(
        self, rows: Sequence[Array], moments: Sequence[SecondMoment], ridge: float
    ) -> list[Array]:
        """Give the As of the regression, (r_k, d) each.

        rows: lambda_k A_k (r_k, d), float64. moments: theirs in that order, then the others'.
        Raises LinAlgError where the matrix cannot be inverted.
        """

    def check(self, parts: Sequence[Adapter], weights: Sequence[float]) -> None:
        """Raise Refused for adapters that hold more than deltas of linear layers."""
        check_deltas_alone(parts, weights, self.name)
        for part in parts:
            for key, delta in part.items():
                if delta.place is not None:
                    raise Refused(
                        f"`{self.name}` knows inputs of linear layers, and this is a "
                        f"{delta.place.kind}",
                        where=key,
                        hint="Take another --method, or leave that module out.",
                    )

    def merged(
        self, parts: Sequence[Adapter], weights: Sequence[float], progress: Progress | None
    ) -> Adapter:
        """Give the adapters' Bs with the As of the regression."""
        total = weighted_sum(parts, weights)
        if self.rank is not None:
            check_asked_rank(self.rank, total.rank, self.name)
        summed = self.summed(self.apart(parts, weights, progress), total, progress)
        deltas = {key: summed.deltas[key] for key in total}
        found = replace(total, deltas=deltas, made=self.made_of(total, parts, self.what))
        if self.rank is None:
            return found
        cut, kept = found.compress_measured(self.rank)
        share = None if all(each.exact for each in kept) else energy_kept(kept)
        return replace(cut, made=self.made_of(total, parts, self.what, share))

    def summed(
        self, apart: Sequence[Adapter], total: Adapter, progress: Progress | None
    ) -> Adapter:
        """Give the sum of the parts of `apart`. total: of the adapters themselves."""
        return weighted_sum(apart, [1.0] * len(apart))

    def apart(
        self,
        parts: Sequence[Adapter],
        weights: Sequence[float],
        progress: Progress | None = None,
    ) -> list[Adapter]:
        """Give what becomes of each adapter: its Bs with the As of the regression.

        Arguments, and what is raised: as of `merged`.
        """
        self.check(parts, weights)
        if len(self.statistics) != len(parts):
            raise BadSetting(
                f"{len(parts)} adapters and the input statistics of {len(self.statistics)} domains",
                where="statistics",
                hint=f"`{self.name}` needs statistics of each adapter's own domain: calibration "
                "rows and the base model, or a file beside the adapter that `superpose statistics` "
                "wrote.",
            )
        deltas = [dict((w * part).deltas) for part, w in zip(parts, weights, strict=True)]
        raised: dict[str, float] = {}
        for key, delta in told(weighted_sum(parts, weights), progress):
            for k, term in self._terms(key, delta.shape[1], parts, weights, raised).items():
                deltas[k][key] = replace(deltas[k][key], terms=(term,))
        self._tell_of_raised(raised)
        return [
            replace(part, deltas=own, replacements={})
            for part, own in zip(parts, deltas, strict=True)
        ]

    def _terms(
        self,
        key: str,
        size: int,
        parts: Sequence[Adapter],
        weights: Sequence[float],
        raised: dict[str, float],
    ) -> dict[int, Term]:
        """Give one module's terms by adapter, of those that do anything there."""
        known = [k for k, found in enumerate(self.statistics) if key in found]
        missing = [k for k, part in enumerate(parts) if key in part and k not in set(known)]
        if missing:
            raise BadInput(
                f"the input statistics of {parts[missing[0]].name}'s domain do not tell of `{key}`",
                where="statistics",
                hint=_OF_ALL,
            )
        have = {
            k: split
            for k in known
            if weights[k] != 0.0 and key in parts[k] and (split := _split(parts[k], key)).B.any()
        }
        if not have:
            return {}
        others = [k for k in known if k not in have] if self.counts_all else []
        moments = [self._moment(k, key, size) for k in (*have, *others)]
        rows = [weights[k] * split.A for k, split in have.items()]
        found = self._solved(key, rows, moments, raised)
        return {k: Term(1.0, have[k].B, A) for k, A in zip(have, found, strict=True)}

    def _moment(self, domain: int, key: str, size: int) -> SecondMoment:
        moment = self.statistics[domain][key]
        if moment.size != size:
            raise BadInput(
                f"`{key}` has {size} inputs, and statistics of {moment.size}",
                where="statistics",
                hint="Were they made with another base model?",
            )
        return moment

    def _solved(
        self,
        key: str,
        rows: Sequence[Array],
        moments: Sequence[SecondMoment],
        raised: dict[str, float],
    ) -> list[Array]:
        """Solve; where that cannot be done, with the least ridge that serves, noted in `raised`."""
        if not any(moment.trace for moment in moments):
            raise BadInput("all inputs of this module are zero", where=key)
        ridge = self.ridge
        if ridge is None:
            ridge = RIDGE if overlapping([read_by(A) for A in rows]) else _RIDGE
        for tried in (ridge, *(more for more in _RAISED if more > ridge)):
            try:
                found = self.solved(rows, moments, tried)
            except np.linalg.LinAlgError:
                continue
            if all(np.isfinite(A).all() for A in found):
                if tried != ridge:
                    raised[key] = tried
                return found
        raise BadInput("the inputs' second moment is singular at every ridge", where=key)

    def _tell_of_raised(self, raised: Mapping[str, float]) -> None:
        if raised:
            others = f" and {counted(len(raised) - 1, 'other module')}" if len(raised) > 1 else ""
            warnings.warn(
                f"the inputs' second moment is singular in `{next(iter(raised))}`{others}; the "
                f"ridge there is raised to {max(raised.values()):g}",
                SuperposeWarning,
                stacklevel=4,
            )


def _split(adapter: Adapter, key: str) -> Term:
    """Give a module's delta in its canonical split: inputs that it does not read are not in A."""
    return split_of(adapter[key].terms, key, adapter.label)


def read_by(A: Array) -> Array:
    """Give an orthonormal basis (d, m) of the inputs that an A (r, d) reads."""
    V, s, _ = tall_svd(A.T)
    return V[:, : significant(s)]
