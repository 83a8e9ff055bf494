"""Train the second tournament's adapters: one a domain and seed.

Every finished adapter is a folder that was renamed into place, so a training that was stopped
goes on where it stood.
"""

from __future__ import annotations

from benchmarks.prediction.adapters import Training, trainer
from benchmarks.prediction.field import Field
from benchmarks.prediction.workers import Jobs, work_off

__all__ = ["train_missing"]


def train_missing(field: Field, jobs: Jobs = 1) -> None:
    """Train what does not lie in the folder yet; the caller holds the folder's lock."""
    wanted = [
        Training("main", seed, domain) for seed in field.tournament.seeds for domain in field.names
    ]
    todo = [each for each in wanted if not (field.folder.path / each.file).is_dir()]
    work_off(field, todo, [1.0 for _ in todo], trainer, jobs)
