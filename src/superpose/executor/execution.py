"""Where tasks are done, and by how many workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from superpose.errors import BadSetting
from superpose.option import Option

__all__ = ["Execution"]

_LEAST = {"workers": 1, "gpus_per_task": 0, "cpus_per_task": 1}


@dataclass(frozen=True)
class Execution:
    """Where tasks are done, by how many workers, and what each of them has.

    The bytes of a result do not depend on the number of workers, as long as each has as many cores
    and is of one kind. Raises BadSetting for what cannot be meant.
    """

    executor: Annotated[
        str,
        Option(
            "local: processes on this machine; slurm: jobs, sent by submitit; ray: a Ray cluster.",
            metavar="local|slurm|ray",
        ),
    ] = "local"
    workers: Annotated[
        int, "So many at once, each with a base model of its own; 1, local, is this process."
    ] = 1
    gpus_per_task: Annotated[
        int | None,
        "GPUs of each worker alone. By default local workers share what there is, others get none.",
    ] = None
    cpus_per_task: Annotated[
        int | None,
        "Cores of each worker. By default local workers share them evenly, others get 1.",
    ] = None
    slurm: Annotated[
        dict[str, Any],
        Option(
            "What submitit passes on to sbatch, repeatable: --slurm partition=gpu --slurm time=240 "
            "(minutes). cluster=local tries it without a queue."
        ),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.executor not in ("local", "slurm", "ray"):
            raise BadSetting(f"`{self.executor}` is none of local, slurm and ray", where="executor")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is None and name != "workers":
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise BadSetting(f"{value!r} is not of type int", where=name)
            if value < least:
                raise BadSetting(f"{value} is below {least}", where=name)
        if not isinstance(self.slurm, dict):
            raise BadSetting(f"{self.slurm!r} is not of type dict", where="slurm")
        if self.slurm and self.executor != "slurm":
            raise BadSetting(f"goes with --executor slurm, not with {self.executor}", where="slurm")

    @property
    def in_process(self) -> bool:
        """Whether the tasks are done in the process that asks for them."""
        asked = self.gpus_per_task is None and self.cpus_per_task is None
        return self.executor == "local" and self.workers == 1 and asked
