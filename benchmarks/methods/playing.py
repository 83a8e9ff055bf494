"""Play the arena sum by sum: what is finished first can be judged and put on record first.

A sum that is on record already is not played again, so that one machine goes on where another one
stopped, with nothing but the repository: the adapters it needs are trained again from their seeds.
"""

from __future__ import annotations

from benchmarks.methods.beside import besides, stand_missing
from benchmarks.methods.contending import contend_missing, contendings
from benchmarks.methods.rows import on_record
from benchmarks.methods.sums import drawn_sums
from benchmarks.prediction.adapters import Training, train_those
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs

__all__ = ["play_missing"]


def play_missing(field: Field, jobs: Jobs = 1) -> None:
    """Let the methods meet on one sum after the other, with all that stands beside them.

    The caller holds the folder's lock.
    """
    before = {cell._replace(way="") for cell in on_record(field)}
    for seed in field.tournament.seeds:
        for domains in drawn_sums(field, seed):
            done = {c.condition for c in before if (c.seed, c.domains) == (seed, domains)}
            if "main" not in done:
                train_those(field, [Training("main", seed, domain) for domain in domains], jobs)
            contend_missing(
                field,
                jobs,
                [
                    each
                    for each in contendings(field)
                    if (each.seed, each.domains) == (seed, domains) and each.condition not in done
                ],
            )
            if "main" not in done:
                beside = [e for e in besides(field) if (e.seed, e.domains) == (seed, domains)]
                stand_missing(field, jobs, beside)
