"""Let every method contend on every sum; what is finished is a file, and is not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.methods.sums import PASSES, drawn_sums, first_rows
from benchmarks.prediction.adapters import Training, train_those, trained
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off
from superpose.measure.arena import Arena
from superpose.measure.contenders import CONTENDERS

__all__ = ["Contending", "contend_missing", "contender", "contendings"]

SAME_A = ("sum", "average", "regmean")
"""Methods that the adapters of one A are tried with."""


@dataclass(frozen=True)
class Contending:
    """One method on the sum of `domains`. condition: `main`, or `same-a`."""

    condition: str
    method: str
    seed: int
    domains: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as `regmean main, seed 0: music+world`."""
        return f"{self.method} {self.condition}, seed {self.seed}: {'+'.join(self.domains)}"

    @property
    def file(self) -> str:
        """Where it lies within the tournament's folder."""
        where = f"contending/{self.condition}/{self.method}/seed-{self.seed}"
        return f"{where}/{'+'.join(self.domains)}.json"


def contendings(field: Field) -> list[Contending]:
    """All of them, sum by sum, and those of the same A behind the first seed's."""
    found = []
    for seed in field.tournament.seeds:
        every = drawn_sums(field, seed)
        found += [Contending("main", m, seed, domains) for domains in every for m in CONTENDERS]
        if seed == field.tournament.seeds[0]:
            pairs = [domains for domains in every if len(domains) == 2]
            found += [Contending("same-a", m, seed, pair) for pair in pairs for m in SAME_A]
    return found


def contend_missing(
    field: Field, jobs: Jobs = 1, among: Sequence[Contending] | None = None
) -> None:
    """Do what does not lie in the folder yet, of all or `among`; the caller holds its lock."""
    wanted = contendings(field) if among is None else among
    alike = {("same-a", c.seed, d) for c in wanted if c.condition == "same-a" for d in c.domains}
    train_those(field, [Training(*one) for one in sorted(alike)], jobs)
    todo = [each for each in wanted if not (field.folder.path / each.file).exists()]
    work_off(field, todo, [_work(field, each) for each in todo], contender, jobs)


@contextmanager
def contender(field: Field) -> Iterator[Callable[[Contending], None]]:
    """Give the function that lets one method contend; an arena serves a sum's methods in a row."""
    at_hand: dict[tuple[str, int, tuple[str, ...]], Arena] = {}

    def do(each: Contending) -> None:
        key = each.condition, each.seed, each.domains
        if key not in at_hand:
            at_hand.clear()
            at_hand[key] = _arena(field, each)
        standing = at_hand[key].standing(CONTENDERS[each.method])
        about = {"condition": each.condition, "seed": each.seed, "domains": each.domains}
        field.folder.write(each.file, about | standing.to_json())

    yield do


def _arena(field: Field, each: Contending) -> Arena:
    adapters = [trained(field, each.condition, each.seed, name) for name in each.domains]
    rows = (first_rows(field, each.domains, part) for part in ("calibration", "test"))
    return Arena(field.base.model, adapters, *rows, passes=PASSES)


def _work(field: Field, each: Contending) -> float:
    calibration, test = (
        sum(row.length for rows in first_rows(field, each.domains, part).values() for row in rows)
        for part in ("calibration", "test")
    )
    return float(PASSES * calibration + test)
