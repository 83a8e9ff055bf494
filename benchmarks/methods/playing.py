"""Play the arena sum by sum: what is finished first can be judged and put on record first.

A sum that is on record already is not played again, so that one machine goes on where another one
stopped, with nothing but the repository: the adapters it needs are trained again from their seeds.
"""

from __future__ import annotations

from benchmarks.methods.beside import besides, stand_missing
from benchmarks.methods.contending import contend_missing, contendings
from benchmarks.methods.rows import on_record
from benchmarks.methods.sums import core_sums, drawn_sums
from benchmarks.prediction.adapters import Training, train_those
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs

__all__ = ["play_missing"]


def play_missing(field: Field, jobs: Jobs = 1) -> None:
    """Let the methods meet on one sum after the other, with all that stands beside them.

    Small ones first, and those that finish a seed before all others. The caller holds the folder's
    lock.
    """
    before = {(c.condition, c.seed, c.domains) for c in on_record(field)}
    seeds = field.tournament.seeds
    core = [(seed, domains) for seed in seeds for domains in core_sums(field, seed)]
    every = [(seed, domains) for seed in seeds for domains in drawn_sums(field, seed)]
    ordered = dict.fromkeys([*sorted(core, key=lambda one: len(one[1])), *every])
    for seed, domains in ordered:
        if ("main", seed, domains) not in before:
            _play(field, seed, domains, jobs)
    alike = [each for each in contendings(field) if each.condition == "same-a"]
    missing = [e for e in alike if (e.condition, e.seed, e.domains) not in before]
    contend_missing(field, jobs, missing)


def _play(field: Field, seed: int, domains: tuple[str, ...], jobs: Jobs) -> None:
    train_those(field, [Training("main", seed, domain) for domain in domains], jobs)
    contending = [
        each
        for each in contendings(field)
        if (each.condition, each.seed, each.domains) == ("main", seed, domains)
    ]
    contend_missing(field, jobs, contending)
    beside = [each for each in besides(field) if (each.seed, each.domains) == (seed, domains)]
    stand_missing(field, jobs, beside)
