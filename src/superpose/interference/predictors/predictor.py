"""What a predictor is: a function from a case, one adapter among others, to a number.

An adapter is a vector, so the others of a larger subset stand in a case as their sum: what
predicts pairs predicts triples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from superpose.adapter import Adapter, align, check_same_base, met
from superpose.errors import BadInput
from superpose.interference.modules import per_module
from superpose.interference.pair import Pair, pair_figures

__all__ = ["Case", "Predictor"]


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
    def pair(self) -> Pair:
        """Figures of the own adapter (a) beside the sum of the others (b), as `check` has them."""
        both = align(met((self.own, sum(self.others[1:], self.others[0]))))
        return pair_figures(per_module(both), 0, 1, both, ("own", "others"))


C = TypeVar("C", bound=Case, contravariant=True)


@dataclass(frozen=True)
class Predictor(Generic[C]):
    """A predictor of interference under its name.

    name: such as `rms cosine`. predict: gives a figure that should rise with the interference,
    NaN where it does not exist. needs: the parts of a domain's calibration that it reads; none
    where the weights are enough. in_nats: the figure is itself a predicted interference, in nats
    an answer token, not only a score that goes with it.
    """

    name: str
    predict: Callable[[C], float]
    needs: frozenset[str] = frozenset()
    in_nats: bool = False
