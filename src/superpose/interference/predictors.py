"""What the weights alone say about interference: its figures, in one table.

A predictor gives a figure of a case, one adapter t_i among others. An adapter is a vector, so the
others of a larger subset stand in a case as their sum t_S: what predicts pairs predicts triples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from superpose.adapter import Adapter, align, check_same_base, met
from superpose.errors import BadInput
from superpose.interference.modules import per_module
from superpose.interference.pair import Pair, pair_figures
from superpose.interference.singular import energy_inside, singular_task_interference
from superpose.interference.typed import words_of
from superpose.lowrank import Term, stack

__all__ = [
    "COSINE",
    "DATA_FREE",
    "INPUT_OVERLAP",
    "NORM_RATIO",
    "OUTPUT_OVERLAP",
    "RMS_COSINE",
    "Case",
    "Predictor",
]


class Figures(Protocol):
    """What a predictor reads of a `Pair`, whose fields these are; NaN where there is none."""

    @property
    def rms_cosine(self) -> float: ...
    @property
    def cosine(self) -> float: ...
    @property
    def output_overlap(self) -> float: ...
    @property
    def input_overlap(self) -> float: ...
    @property
    def norms(self) -> tuple[float, float]: ...


class BesideOthers(Protocol):
    """Figures of the own adapter (a) beside the sum of the others (b): a `Case`, or a record."""

    @property
    def pair(self) -> Figures: ...


@dataclass(frozen=True, eq=False)
class Case:
    """One adapter among others in a sum, which disturb its domain more or less.

    own: the domain's own adapter. others: at least one, each already times its task weight.
    Raises BadInput where there is none, DifferentBase where base models differ.
    """

    own: Adapter
    others: tuple[Adapter, ...]

    def __post_init__(self) -> None:
        if not self.others:
            raise BadInput("an adapter that is alone has nothing to disturb it")
        check_same_base((self.own, *self.others))

    @cached_property
    def both(self) -> tuple[Adapter, Adapter]:
        """The own adapter and the sum of the others, each weight under one name in both."""
        own, rest = align(met((self.own, sum(self.others[1:], self.others[0]))))
        return own, rest

    @cached_property
    def pair(self) -> Pair:
        """Figures of the own adapter (a) beside the sum of the others (b), as `check` has them."""
        words = [words_of(a, n) for a, n in zip(self.both, ("own", "others"), strict=True)]
        return pair_figures(per_module(self.both), 0, 1, self.both, words)

    @cached_property
    def inside(self) -> float:
        """The length of what of the others lies in the own adapter's outputs and inputs."""
        return math.sqrt(energy_inside(*self.both))


C = TypeVar("C", contravariant=True)


@dataclass(frozen=True)
class Predictor(Generic[C]):
    """A predictor of interference.

    name: such as `rms cosine`. formula: in LaTeX. says: what it is, in a few words. predict: gives
    a figure that should rise with the interference, NaN where it does not exist. source: the arXiv
    numbers of its papers. needs: the parts of a domain's calibration that it reads; none where the
    weights are enough. in_nats: the figure is itself a predicted interference, in nats an answer
    token, not only a score that goes with it.
    """

    name: str
    formula: str
    says: str
    predict: Callable[[C], float]
    source: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    in_nats: bool = False


def _rms_of_factors(factor: Callable[[Term], Any]) -> Callable[[Case], float]:
    """Give a predictor: the root mean square of a factor's cosine over target modules and others.

    factor: picks A or B of a term. A sum has no factors of its own, so each of the others is taken
    alone; a pair of factors of different ranks, or a zero one, has no cosine. It is no property of
    the delta: A -> RA, B -> B R^-1 changes it.
    """

    def cosines(case: Case) -> Iterator[float]:
        for module, delta in case.own.items():
            x = np.asarray(factor(stack(delta.terms)))
            for other in case.others:
                if module in other:
                    y = np.asarray(factor(stack(other[module].terms)))
                    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
                    if x.shape == y.shape and lengths > 0:
                        yield float(np.vdot(x, y)) / lengths

    def predict(case: Case) -> float:
        found = list(cosines(case))
        return math.sqrt(math.fsum(c * c for c in found) / len(found)) if found else math.nan

    return predict


def _norm_ratio(case: BesideOthers) -> float:
    own, others = case.pair.norms
    return others / own if own > 0 else math.nan


def _isotropic(case: BesideOthers) -> float:
    own, others = case.pair.norms
    inner = 0.0 if math.isnan(case.pair.cosine) else case.pair.cosine * own * others
    return inner + others * others / 2


def _summed_rms_cosine(case: Case) -> float:
    """Give NaN where one of the others has no cosine with the own adapter."""
    return math.fsum(Case(case.own, (other,)).pair.rms_cosine for other in case.others)


def _residual_energy(case: Case) -> float:
    own, others = case.pair.norms
    inner = 0.0 if math.isnan(case.pair.cosine) else case.pair.cosine * own * others
    whole = own * own + others * others + 2 * inner
    return (others * others - case.inside**2) / whole if whole > 0 else math.nan


def _energy_inside(case: Case) -> float:
    own = case.pair.norms[0]
    return case.inside / own if own > 0 else math.nan


def _task_singular(case: Case) -> float:
    return singular_task_interference(align(met((case.own, *case.others))))


NORM_RATIO = Predictor(
    "norm ratio",
    r"\lVert t_S\rVert / \lVert t_i\rVert",
    "how large the others are beside the own adapter",
    _norm_ratio,
)
RMS_COSINE = Predictor[BesideOthers](
    "rms cosine",
    r"\sqrt{\frac{1}{M}\sum_m \cos_m^2}",
    "the paper's: the angle in each target module that both sides have",
    lambda case: case.pair.rms_cosine,
    ("2508.11985",),  # for pairs; the sum of the others is our reading for more
)
COSINE = Predictor[BesideOthers](
    "cosine",
    r"\langle t_i, t_S\rangle / (\lVert t_i\rVert \lVert t_S\rVert)",
    "the angle of whole adapters, signed: large modules count more",
    lambda case: case.pair.cosine,
)
INPUT_OVERLAP = Predictor[BesideOthers](
    "input overlap",
    r"\frac{1}{M}\sum_m \lVert P_i^\top P_S\rVert_F^2 / \min(r_i, r_S)",
    "whether they read the same inputs: P spans the rows of A",
    lambda case: case.pair.input_overlap,
)
OUTPUT_OVERLAP = Predictor[BesideOthers](
    "output overlap",
    r"\frac{1}{M}\sum_m \lVert Q_i^\top Q_S\rVert_F^2 / \min(r_i, r_S)",
    "whether they write to the same outputs: Q spans the columns of B",
    lambda case: case.pair.output_overlap,
    ("2604.16826",),  # that interference sits there; its own figure differs
)

DATA_FREE: tuple[Predictor[Case], ...] = (
    Predictor("constant", "1", "what any predictor has to beat", lambda case: 1.0),
    Predictor(
        "count", r"\lvert S\rvert", "how many others there are", lambda case: len(case.others) * 1.0
    ),
    Predictor(
        "1/k law",
        r"1 - 1 / (\lvert S\rvert + 1)",
        "how many there are, with diminishing effect; it ranks as the count does",
        lambda case: 1 - 1 / (len(case.others) + 1),
        ("2509.24244",),  # of averages of k models, whose loss falls so with k
    ),
    Predictor(
        "norm",
        r"\lVert t_S\rVert",
        "how large the others are, whatever their direction",
        lambda case: case.pair.norms[1],
    ),
    NORM_RATIO,
    RMS_COSINE,
    Predictor(
        "rms cosine, summed",
        r"\sum_{j \in S} \sqrt{\frac{1}{M}\sum_m \cos_m(t_i, t_j)^2}",
        "the same of each other adapter alone, added up: for pairs it is the paper's",
        _summed_rms_cosine,
        ("2508.11985",),
    ),
    COSINE,
    Predictor(
        "cosine of A",
        r"\sqrt{\mathrm{mean}_{m,\, j \in S} \cos(A_i, A_j)^2}",
        "whether the adapters started from one A",
        _rms_of_factors(lambda term: term.A),
    ),
    Predictor(
        "cosine of B",
        r"\sqrt{\mathrm{mean}_{m,\, j \in S} \cos(B_i, B_j)^2}",
        "the same of B; the output overlap is what another split of the deltas leaves alone",
        _rms_of_factors(lambda term: term.B),
    ),
    INPUT_OVERLAP,
    OUTPUT_OVERLAP,
    Predictor(
        "isotropic quadratic",
        r"\langle t_i, t_S\rangle + \lVert t_S\rVert^2 / 2",
        "how the loss changes if it curves alike in all directions: $H = 1$ below",
        _isotropic,
    ),
    Predictor(
        "residual energy",
        r"\lVert t_S - Q_i Q_i^\top t_S P_i P_i^\top\rVert^2 / \lVert t_i + t_S\rVert^2",
        "the share of the whole sum outside the outputs and inputs of the own adapter",
        _residual_energy,
    ),
    Predictor(
        "energy inside",
        r"\lVert Q_i^\top t_S P_i\rVert / \lVert t_i\rVert",
        "what the others write where the own adapter writes, read where it reads",
        _energy_inside,
    ),
    Predictor(
        "singular task interference",
        r"\frac{1}{M}\sum_m \lVert (U^\top U - I)\, \Sigma\, (V^\top V - I)\rVert_1",
        "how the singular vectors of all deltas, side by side, meet; of all, not of one's domain",
        _task_singular,
        ("2412.00081",),
    ),
)
"""The controls first: what knows nothing, how many there are, how large they are."""
