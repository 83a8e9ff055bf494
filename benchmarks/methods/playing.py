"""Play the arena sum by sum: what is finished first can be judged and put on record first.

A sum that is on record already is not played again, so that one machine goes on where another one
stopped, with nothing but the repository: the adapters it needs are trained again from their seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.methods.beside import Beside, besides, stand_missing
from benchmarks.methods.contending import Contending, contend_missing, contendings
from benchmarks.methods.rows import cell_of, on_record
from benchmarks.methods.sums import core_sums, drawn_sums
from benchmarks.prediction.adapters import Training, train_those
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs

__all__ = ["play_missing"]


def play_missing(field: Field, jobs: Jobs = 1) -> None:
    """Let the methods meet on one sum after the other, with all that stands beside them.

    Those that finish a seed first, small ones before large ones; then the pairs of one A, which
    finish the first seed; then all others. The caller holds the folder's lock.
    """
    before = set(on_record(field))
    seeds = field.tournament.seeds
    core = [(seed, domains) for seed in seeds for domains in core_sums(field, seed)]
    every = [(seed, domains) for seed in seeds for domains in drawn_sums(field, seed)]
    contending = [e for e in contendings(field) if cell_of(e) not in before]
    beside = [e for e in besides(field) if cell_of(e) not in before]
    for one in sorted(core, key=lambda one: len(one[1])):
        _play(field, jobs, one, contending, beside)
    contend_missing(field, jobs, [e for e in contending if e.condition == "same-a"])
    for one in every:
        if one not in core:
            _play(field, jobs, one, contending, beside)


def _play(
    field: Field,
    jobs: Jobs,
    of_sum: tuple[int, tuple[str, ...]],
    contending: Sequence[Contending],
    beside: Sequence[Beside],
) -> None:
    """Play what is missing of one sum of a seed."""
    methods = [e for e in contending if e.condition == "main" and (e.seed, e.domains) == of_sum]
    ways = [e for e in beside if (e.seed, e.domains) == of_sum]
    if methods or ways:
        seed, domains = of_sum
        train_those(field, [Training("main", seed, domain) for domain in domains], jobs)
    contend_missing(field, jobs, methods)
    stand_missing(field, jobs, ways)
