"""Train the second tournament's adapters: one a domain and seed.

Every finished adapter is a folder that was renamed into place, so a training that was stopped
goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.prediction.adapters import Training, train_those
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs
from benchmarks.second.rows import seeds_left

__all__ = ["train_missing", "train_seeds"]


def train_missing(field: Field, jobs: Jobs = 1) -> None:
    """Train those of seeds that are not on record yet, but for what lies in the folder.

    The caller holds the folder's lock.
    """
    train_seeds(field, seeds_left(field), jobs)


def train_seeds(field: Field, seeds: Sequence[int], jobs: Jobs = 1) -> None:
    """Train these seeds' adapters, but for what lies in the folder."""
    wanted = [Training("main", seed, domain) for seed in seeds for domain in field.names]
    train_those(field, wanted, jobs)
