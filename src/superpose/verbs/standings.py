"""What a comparison measures, one standing after the other: in this process, or by workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from superpose.executor import Do, Execution, Task, WorkFolder, work_off
from superpose.verbs.comparing import Records
from superpose.verbs.comparing_cost import tell_of_cost
from superpose.verbs.progress import Progress, advancing

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.data.prompt import Example
    from superpose.measure.arena import Arena, ArenaRows
    from superpose.measure.contenders import Contender
    from superpose.measure.standing import Standing
    from superpose.model import BaseModel
    from superpose.model.carried import CarriedBase

__all__ = ["Ring", "all_standings"]


@dataclass(frozen=True)
class Ring:
    """All that an arena is made of but the base model, so that a worker can make it as well.

    merged: the adapter of merged data, where there is one.
    """

    adapters: tuple[Adapter, ...]
    calibration: Mapping[str, list[Example]]
    test: ArenaRows
    passes: int
    same_base: bool
    merged: Adapter | None

    def arena(self, base: BaseModel) -> Arena:
        """Make the arena on a loaded base model."""
        from superpose.measure.arena import Arena

        return Arena(
            base.model, self.adapters, self.calibration, self.test,
            passes=self.passes, same_base=self.same_base,
        )  # fmt: skip

    @property
    def references(self) -> tuple[str, ...]:
        """What methods are held against, by name."""
        from superpose.measure.ranking import BASE, MERGED, NAIVE, OWN

        return (BASE, OWN, NAIVE, *([] if self.merged is None else [MERGED]))

    def standing(self, arena: Arena, name: str) -> Standing:
        """Measure a contender, or what they are held against."""
        from superpose.measure.contenders import contenders
        from superpose.measure.ranking import BASE, MERGED, OWN

        domains = list(arena.test.rows)
        if name not in self.references:
            return arena.standing(contenders([name])[-1])
        if name == OWN:
            return arena.reference(name, dict(zip(domains, arena.adapters, strict=True)))
        alone = None if name == BASE else self.merged if name == MERGED else arena.naive
        return arena.reference(name, dict.fromkeys(domains, alone))


def all_standings(
    ring: Ring,
    base: BaseModel,
    chosen: Sequence[Contender],
    records: Records,
    execution: Execution,
    progress: Progress | None,
) -> tuple[list[Standing], list[Standing]]:
    """Measure what is not on record yet; give the methods' standings, and the references'."""
    arena = ring.arena(base)
    work = dict.fromkeys(ring.references, float(ring.test.work))
    work |= {one.name: arena.work for one in chosen}
    missing = [name for name in work if name not in records]
    tell_of_cost(ring, base, chosen, missing, execution.workers)
    advance = advancing(progress, "compare", sum(work[name] for name in missing))
    if execution.in_process:
        arena.progress = advance
    if records.folder is None:
        for name in missing:
            records.keep(name, ring.standing(arena, name))
    else:
        tasks = [Task(f"compare {name}", records.file(name), (name,), work[name]) for name in work]
        _worked_off(records.folder, tasks, ring, arena, base, execution, advance)
    found = [records[name] for name in work]
    references = len(ring.references)
    return found[references:], found[:references]


def _worked_off(
    folder: WorkFolder,
    tasks: Sequence[Task],
    ring: Ring,
    arena: Arena,
    base: BaseModel,
    execution: Execution,
    advance: Callable[[float], None],
) -> None:
    if execution.in_process:
        work_off(folder.path, tasks, partial(_opened, folder, ring, arena), execution)
        return
    from superpose.model.carried import CarriedBase

    bench = partial(_in_worker, folder, ring, CarriedBase.of(base))
    work_off(folder.path, tasks, bench, execution, finished=lambda task, _: advance(task.work))


@contextmanager
def _opened(folder: WorkFolder, ring: Ring, arena: Arena) -> Iterator[Do]:
    records = Records(folder)
    yield lambda name: records.keep(name, ring.standing(arena, name))


@contextmanager
def _in_worker(folder: WorkFolder, ring: Ring, base: CarriedBase) -> Iterator[Do]:
    with _opened(folder, ring, ring.arena(base.load())) as do:
        yield do
