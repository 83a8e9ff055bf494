"""The merge methods that are held against each other, and the settings that each is tried with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from superpose.compose import (
    Average,
    CoreSpace,
    Ctm,
    Dare,
    DareTies,
    Della,
    EqualNorm,
    Iso,
    Knots,
    Method,
    Orthogonal,
    Pico,
    RegMean,
    RegMeanTuned,
    Ssr,
    Star,
    Sum,
    Svc,
    Ties,
    Tsv,
    TunedSum,
    Wudi,
)
from superpose.compose.from_inputs import FromInputs
from superpose.errors import BadSetting

__all__ = ["ALL", "BEYOND", "CONTENDERS", "USUAL", "Contender", "contenders"]


@dataclass(frozen=True)
class Contender:
    """A merge method by its name, with the settings of which the best is taken.

    What a method needs of the adapters' domains it is given where it is tried.
    """

    name: str
    tries: tuple[Method, ...]

    def __post_init__(self) -> None:
        if not self.tries:
            raise BadSetting("there are no settings to try", where=self.name)

    @property
    def asks(self) -> bool:
        """Whether it takes a pass to measure what it needs of the domains."""
        return any(isinstance(method, FromInputs) for method in self.tries)

    def within(self, passes: int) -> Contender:
        """Give it; raises BadSetting for a budget of passes that leaves a setting untried."""
        if self.asks + len(self.tries) > passes:
            raise BadSetting(
                f"{passes} passes over the calibration rows are too few for "
                f"{len(self.tries)} settings of `{self.name}`",
                where="passes",
            )
        return self


_ALL: tuple[tuple[Method, ...], ...] = (
    (Sum(),),
    (Average(),),
    (EqualNorm(), EqualNorm(rule="meta")),
    (Ties(density=0.2), Ties(density=0.5)),
    (Dare(density=0.5), Dare(density=0.8)),
    (DareTies(density=0.5), DareTies(density=0.8)),
    (Della(density=0.5), Della(density=0.8)),
    (Knots(rule=Ties(density=0.2)), Knots(rule=Ties(density=0.5))),
    (Tsv(),),
    (Iso(), Iso(variant="cts")),
    (CoreSpace(rule=Ties(density=0.2)), CoreSpace(rule=Ties(density=0.5))),
    (Ctm(rule=Ties(density=0.25)), Ctm(beta=0.75, rule=Ties(density=0.25))),
    (Pico(),),
    (Wudi(), Wudi(ridge=0.1)),
    (Svc(), Svc(alpha=1.0)),
    (Star(), Star(eta=0.8)),
    (Orthogonal(), Orthogonal(mu=1.0)),
    (RegMean(), RegMean(ridge=0.1)),
    (Ssr(), Ssr(ridge=0.1)),
)

_TUNED = {
    f"tuned by {by}": Contender(f"tuned by {by}", (TunedSum(by),))
    for by in ("adapter", "layer", "module", "direction")
}

CONTENDERS: Mapping[str, Contender] = {
    **{tries[0].name: Contender(tries[0].name, tries) for tries in _ALL},
    **_TUNED,
}
"""Every method with the published default first, and one other setting where it has any; what has a
weight of its own in a tuned sum makes another contender."""


BEYOND: Mapping[str, Contender] = {
    f"regmean-tuned by {by}": Contender(f"regmean-tuned by {by}", (RegMeanTuned(by=by),))
    for by in ("module", "direction")
}
"""What joined after the benchmark of methods had registered CONTENDERS, which it goes through."""

USUAL = (
    "sum", "average", "ties", "regmean", "ssr", "tuned by adapter", "tuned by module",
    "regmean-tuned by module",
)  # fmt: skip
"""What is compared unless other methods are named: the plain ones, the best known one that needs no
data, and those that ask the rows."""

ALL = "all"


def contenders(names: Sequence[str] = ()) -> tuple[Contender, ...]:
    """Give contenders by name, each once, the plain sum among them; without names USUAL.

    ALL among the names stands for all of them. Raises BadSetting for a name that is none.
    """
    known = {**CONTENDERS, **BEYOND}
    wrong = [name for name in names if name not in known and name != ALL]
    if wrong:
        raise BadSetting(
            f"`{wrong[0]}` is no method; there are {', '.join(known)}, and {ALL}", where="methods"
        )
    chosen = known if ALL in names else dict.fromkeys(("sum", *(names or USUAL)))
    return tuple(known[name] for name in chosen)
